// Offsets of one window of one row: reject what does not ascend, and make the PE's reduced selects.
//
// With idx[0] < idx[1] < ... < idx[KEEP-1] < OF, weight j can only sit at j .. j+OF-KEEP, and
// sel[j] = idx[j] - j is what its multiplexer needs. A broken window raises `bad`; its selects then
// mean nothing, and the top reports the error instead of pretending that the sums do.
module nmforge_index_check #(
    parameter  int KEEP = 2,
    parameter  int OF   = 4,
    localparam int IDXW = (OF > 1) ? $clog2(OF) : 1,
    localparam int SELW = (OF > KEEP) ? $clog2(OF - KEEP + 1) : 1
) (
    input  logic [KEEP*IDXW-1:0] index,
    output logic [KEEP*SELW-1:0] sel,
    output logic                 bad
);
    logic [KEEP-1:0] wrong;

    for (genvar j = 0; j < KEEP; j++) begin : weight
        logic [IDXW:0] here;  // one bit wider than an offset, so that the bound OF itself fits

        assign here = {1'b0, index[j*IDXW +: IDXW]};
        assign sel[j*SELW +: SELW] = SELW'(here - (IDXW+1)'(j));
        if (j == 0) begin : lowest
            assign wrong[j] = here >= (IDXW+1)'(OF);
        end else begin : higher
            assign wrong[j] = (here >= (IDXW+1)'(OF)) | (index[j*IDXW +: IDXW] <= index[(j-1)*IDXW +: IDXW]);
        end
    end
    assign bad = |wrong;
endmodule
