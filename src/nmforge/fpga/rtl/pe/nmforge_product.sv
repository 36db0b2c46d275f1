// value * factor for a factor in recoded radix-4 digits, what nmforge_recode calls `missing` left out.
//
// A partial product is a wire, a shift or an inversion: one four-input function a bit.
module nmforge_product #(
    parameter int DIGITS = 2,
    parameter int VALUEW = 8,
    parameter int PRODW  = 11
) (
    input  logic [2*DIGITS-1:0]      digits,
    input  logic signed [VALUEW-1:0] value,
    output logic signed [PRODW-1:0]  product
);
    logic [DIGITS-1:0][VALUEW:0] partial;
    logic [VALUEW:0]             once, twice;

    assign once  = {value[VALUEW-1], value};
    assign twice = {value, 1'b0};
    for (genvar i = 0; i < DIGITS; i++) begin : digit
        logic [1:0] code;
        assign code       = digits[2*i +: 2];
        assign partial[i] = ({VALUEW+1{code == 2'b01}} & once) | ({VALUEW+1{code == 2'b10}} & twice)
                          | ({VALUEW+1{code == 2'b11}} & ~once);
    end
    always_comb begin
        product = '0;
        for (int i = 0; i < DIGITS; i++) product = product + (PRODW'(signed'(partial[i])) << (2 * i));
    end
endmodule
