// One bit of a carry chain: half a CCU2C, or a TRELLIS_COMB in mode CCU2.
//
// The LUT4 decides whether the carry passes; where it does not, the LUT2 in its lowest four bits makes the new one.
// INJECT cuts the carry off from the sum and from generation: the bit then only passes or stops it.
module CARRY #(
    parameter [15:0] INIT = 16'h0,
    parameter INJECT = 0
) (
    input A, B, C, D, CIN,
    output S, COUT
);
    wire pass = INIT[{D, C, B, A}];
    wire make = INIT[{2'b00, B, A}] & (INJECT == 0);

    assign S    = pass ^ (CIN & (INJECT == 0));
    assign COUT = pass ? CIN : make;
endmodule
