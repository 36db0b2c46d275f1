// LUT RAM of 16 words of 4 bits: one write port, one port read without a clock. INITVAL holds word 0 lowest.
module TRELLIS_DPR16X4 #(
    parameter [63:0] INITVAL = 64'h0
) (
    input WCK, WRE,
    input [3:0] WAD, DI, RAD,
    output [3:0] DO
);
    reg [3:0] words [0:15];
    integer i;

    initial for (i = 0; i < 16; i = i + 1) words[i] = INITVAL[4*i +: 4];
    always @(posedge WCK) if (WRE) words[WAD] <= DI;
    assign DO = words[RAD];
endmodule
