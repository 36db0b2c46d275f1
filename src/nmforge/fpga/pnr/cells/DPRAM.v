// TRELLIS_COMB in mode DPRAM: the LUT as 16 bits of memory, read through A..D like a LUT.
//
// A LUT and its write port do not number the words alike: read address bits 0, 1, 2, 3 are D, B, C, A.
module DPRAM #(
    parameter [15:0] INIT = 16'h0
) (
    input A, B, C, D,
    input WCK, WRE, WD, WAD0, WAD1, WAD2, WAD3,
    output F
);
    reg [15:0] bits = INIT;

    always @(posedge WCK) if (WRE) bits[{WAD0, WAD2, WAD1, WAD3}] <= WD;
    assign F = bits[{D, C, B, A}];
endmodule
