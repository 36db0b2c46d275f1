// The multiplier in parts, as a row and its PEs share it: value + missing.
module nmforge_times #(
    parameter int BITS = 4
) (
    input  logic signed [BITS-1:0] code,
    input  logic signed [7:0]      act,
    output logic signed [BITS+6:0] value,
    output logic [BITS-1:0]        missing
);
    logic                      negative;
    logic [2*((BITS+1)/2)-1:0] digits;

    nmforge_recode #(.BITS(BITS)) recode (.code, .negative, .digits, .missing);
    nmforge_product #(.DIGITS((BITS+1)/2), .VALUEW(8), .PRODW(BITS+7)) product (
        .digits, .value(act ^ {8{negative}}), .product(value)
    );
endmodule

// value + missing = code * act for every code and every activation but -128, which does not occur.
module nmforge_product_proof #(
    parameter int BITS = 4
) (
    input  logic signed [BITS-1:0] code,
    input  logic signed [7:0]      act,
    output logic                   product_ok
);
    logic signed [BITS+6:0] value;
    logic [BITS-1:0]        missing;

    nmforge_times #(.BITS(BITS)) times (.code, .act, .value, .missing);
    assign product_ok = act == -8'sd128
        | (BITS+8)'(value) + (BITS+8)'(signed'({1'b0, missing})) == (BITS+8)'(code) * (BITS+8)'(act);
endmodule
