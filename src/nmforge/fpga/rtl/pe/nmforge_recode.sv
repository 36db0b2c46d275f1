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
    logic [2*DIGITS-1:0] magnitude;
    logic [DIGITS-1:0]   minus;   // digit i is -1
    logic [BITS-1:0]     ones;
    logic [DIGITS:0]     carry;   // into digit i: the digit below is -1, so this one counts one more

    assign negative  = code[BITS-1];
    assign magnitude = (2*DIGITS)'({1'b0, unsigned'(negative ? -code : code)});
    assign carry[0]  = 1'b0;
    for (genvar i = 0; i < DIGITS; i++) begin : digit
        logic [1:0] pair;
        assign pair              = magnitude[2*i +: 2];
        assign digits[2*i +: 2]  = pair + {1'b0, carry[i]};
        assign carry[i+1]        = pair[1] & (pair[0] | carry[i]);   // 3, or 2 and one more
        assign minus[i]          = pair[1] & (pair[0] ^ carry[i]);
    end
    always_comb begin
        ones = '0;
        for (int i = 0; i < DIGITS; i++) ones[2*i] = minus[i];
    end
    assign missing = ones + (negative ? BITS'(magnitude) : '0);

    logic unused_carry;   // never set: |code| <= 2**(BITS-1)
    assign unused_carry = carry[DIGITS];
endmodule
