// Weight code -> what a PE multiplies with, made once per row instead of once per PE.
//
// |code| is written with radix-4 digits 0, 1, 2 and -1 (2 bits each: 00, 01, 10, 11), so that every
// partial product is a wire, a shift or an inversion of the activation. Negating it would take an
// adder; inverting takes none, and -x = ~x + 1. The PE therefore works with inverted bits
// (of the activation where the code is negative, of a partial product where the digit is -1) and
// leaves the ones out. What it leaves out depends on the code alone:
//   code * act = product + missing,   missing = (code < 0 ? |code| : 0) + sum of 4**i over digits -1
// so the row edge adds `missing` up over a group and corrects every column's sum with it.
module nmforge_recode #(
    parameter  int BITS   = 4,
    localparam int DIGITS = (BITS + 1) / 2
) (
    input  logic signed [BITS-1:0] code,
    output logic                   negative,
    output logic [2*DIGITS-1:0]    digits,
    output logic [BITS-1:0]        missing
);
    localparam int MAGW = 2 * DIGITS + 1;

    logic [MAGW-1:0] rest;

    assign negative = code[BITS-1];
    always_comb begin
        rest    = MAGW'(unsigned'(negative ? -code : code)) & MAGW'({BITS{1'b1}});
        missing = negative ? rest[BITS-1:0] : '0;
        digits  = '0;
        for (int i = 0; i < DIGITS; i++) begin
            digits[2*i +: 2] = rest[1:0];
            if (rest[1:0] == 2'b11) missing = missing + BITS'(1 << (2 * i));
            rest = (rest >> 2) + MAGW'(rest[1:0] == 2'b11);
        end
    end
endmodule
