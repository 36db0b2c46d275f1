// Table of 16 bits: input A is the lowest bit of the address, D the highest.
module LUT4 #(
    parameter [15:0] INIT = 16'h0
) (
    input A, B, C, D,
    output Z
);
    assign Z = INIT[{D, C, B, A}];
endmodule
