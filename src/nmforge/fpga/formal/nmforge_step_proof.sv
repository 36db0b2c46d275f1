// One step of the dense sum: where no code stands at a place or above, putting one there adds exactly
// code * activation of that place to the sum over all OF places of the window.
//
// Codes below, activations and both start values are free, and every place has its turn. Repeated for the
// steps of a window, whose offsets ascend, it makes the PE's running sum the dense sum of the unpacked window.
module nmforge_step_proof #(
    parameter  int OF    = 4,
    parameter  int BITS  = 4,
    parameter  int GROUP = 64,
    localparam int ACCW  = BITS + 7 + $clog2(GROUP)
) (
    input  logic [OF-1:0][BITS-1:0] codes,
    input  logic [OF-1:0][7:0]      window,
    input  logic [ACCW-1:0]         sum_start,
    input  logic [BITS+7:0]         left_start,
    output logic                    step_ok
);
    logic [OF-1:0] place_ok;

    assign step_ok = &place_ok;
    for (genvar place = 0; place < OF; place++) begin : at
        logic [OF-1:0][BITS-1:0] below, upto;
        logic [ACCW-1:0]         sum_before, sum_after;
        logic [BITS+7:0]         left_before, left_after;
        logic signed [BITS+6:0]  value;
        logic [BITS-1:0]         missing;

        for (genvar j = 0; j < OF; j++) begin : code_of
            assign below[j] = (j < place) ? codes[j] : '0;
            assign upto[j]  = (j <= place) ? codes[j] : '0;
        end
        nmforge_dense_dot #(.OF(OF), .BITS(BITS), .ACCW(ACCW)) without_it (
            .codes(below), .window, .sum_start, .left_start, .sum(sum_before), .left(left_before)
        );
        nmforge_dense_dot #(.OF(OF), .BITS(BITS), .ACCW(ACCW)) with_it (
            .codes(upto), .window, .sum_start, .left_start, .sum(sum_after), .left(left_after)
        );
        nmforge_times #(.BITS(BITS)) times (.code(codes[place]), .act(window[place]), .value, .missing);
        assign place_ok[place] = sum_after == sum_before + ACCW'(value)
                               & left_after == left_before + (BITS+8)'(missing);
    end
endmodule

// The dense dot product of a window: what is there before, and the parts of code * activation of all places.
module nmforge_dense_dot #(
    parameter int OF   = 4,
    parameter int BITS = 4,
    parameter int ACCW = 17
) (
    input  logic [OF-1:0][BITS-1:0] codes,
    input  logic [OF-1:0][7:0]      window,
    input  logic [ACCW-1:0]         sum_start,
    input  logic [BITS+7:0]         left_start,
    output logic [ACCW-1:0]         sum,
    output logic [BITS+7:0]         left
);
    logic [OF:0][ACCW-1:0] running;
    logic [OF:0][BITS+7:0] left_running;

    assign running[0]      = sum_start;
    assign left_running[0] = left_start;
    assign sum             = running[OF];
    assign left            = left_running[OF];
    for (genvar j = 0; j < OF; j++) begin : place
        logic signed [BITS+6:0] value;
        logic [BITS-1:0]        missing;
        nmforge_times #(.BITS(BITS)) times (.code(codes[j]), .act(window[j]), .value, .missing);
        assign running[j+1]      = running[j] + ACCW'(value);
        assign left_running[j+1] = left_running[j] + (BITS+8)'(missing);
    end
endmodule
