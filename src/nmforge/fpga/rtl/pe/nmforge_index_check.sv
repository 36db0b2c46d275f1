// Offsets of one row (or lane): inside a window they must ascend and stay below OF.
//
// Kept weights come one a step, so the check is one comparison with the offset before. `bad` tells,
// one cycle after a step, that it broke the rule. The engine then rejects what it was sent: it raises
// its error, and no sum of that tile or of a later one leaves it until reset.
module nmforge_index_check #(
    parameter  int OF   = 4,
    localparam int IDXW = (OF > 1) ? $clog2(OF) : 1
) (
    input  logic            clk,
    input  logic            valid,
    input  logic            first,  // first step of a window: there is no offset before it
    input  logic [IDXW-1:0] index,
    output logic            bad
);
    logic [IDXW-1:0] previous;

    always_ff @(posedge clk) if (valid) previous <= index;
    always_ff @(posedge clk)
        bad <= valid & (({1'b0, index} >= (IDXW+1)'(OF)) | (!first & (index <= previous)));
endmodule
