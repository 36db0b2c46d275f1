// Block RAM of 2048 lanes of 9 bits with two ports of 1, 2, 4, 9 or 18 bits, or one of 36 that only writes (port A)
// next to one that only reads (port B).
//
// Address bits 13..3 name a lane; widths 1, 2 and 4 take a part of its lowest eight bits, named by bits 2..0. Words of
// 18 and 36 bits are two and four lanes, and the lowest bits of the write address enable them one by one.
//
// Written on one port and read on the other in the same cycle, a word is not defined. Where both ports have one clock
// (SAME_CLOCK) the model then gives the complement of what stood there, so that no design comes to rely on it.
// WRITEMODE: 0 keeps the output during a write (NORMAL), 1 gives the new word, 2 the old one.
module DP16KD #(
    parameter WIDTH_A = 18,
    parameter WIDTH_B = 18,
    parameter WRITEMODE_A = 0,
    parameter WRITEMODE_B = 0,
    parameter OUTREG_A = 0,
    parameter OUTREG_B = 0,
    parameter SAME_CLOCK = 0,
    parameter [18431:0] INIT = 18432'h0
) (
    input CLKA, CEA, OCEA, WEA, RSTA,
    input [13:0] ADA,
    input [17:0] DIA,
    output [17:0] DOA,
    input CLKB, CEB, OCEB, WEB, RSTB,
    input [13:0] ADB,
    input [17:0] DIB,
    output [17:0] DOB
);
    // verilator no_inline_module
    // One copy of the code serves every block of the same kind; that is what bounds the build time of large banks.
    localparam [0:0] PSEUDO = WIDTH_A == 36;

    // verilator lint_off MULTIDRIVEN
    reg [8:0] lanes [0:2047];
    // verilator lint_on MULTIDRIVEN
    wire        write_a = CEA & !RSTA & (PSEUDO | WEA);
    wire        write_b = CEB & !RSTB & WEB & !PSEUDO;
    wire [35:0] mask_a  = write_mask(WIDTH_A, ADA);
    wire [35:0] mask_b  = write_mask(WIDTH_B, ADB);
    wire [35:0] data_a  = PSEUDO ? {DIB, DIA} : spread(WIDTH_A, ADA, {18'b0, DIA});
    wire [35:0] data_b  = spread(WIDTH_B, ADB, {18'b0, DIB});
    wire [35:0] old_a   = word(WIDTH_A, ADA);
    wire [35:0] old_b   = word(WIDTH_B, ADB);
    wire [35:0] open_a  = SAME_CLOCK != 0 && write_b && same_word(ADA, ADB) ? undefined(mask_b) : 36'b0;
    wire [35:0] open_b  = SAME_CLOCK != 0 && write_a && same_word(ADA, ADB) ? undefined(mask_a) : 36'b0;
    wire [35:0] next_a  = WRITEMODE_A == 1 && write_a ? (old_a & ~mask_a) | (data_a & mask_a) : old_a ^ open_a;
    wire [35:0] next_b  = WRITEMODE_B == 1 && write_b ? (old_b & ~mask_b) | (data_b & mask_b) : old_b ^ open_b;
    reg  [35:0] read_a, read_b, register_a, register_b;
    wire [35:0] out_a = OUTREG_A != 0 ? register_a : read_a;
    wire [35:0] out_b = OUTREG_B != 0 ? register_b : read_b;
    integer     i;

    assign DOA = WIDTH_B == 36 ? out_b[17:0] : out_a[17:0];
    assign DOB = WIDTH_B == 36 ? out_b[35:18] : out_b[17:0];

    initial begin
        for (i = 0; i < 2048; i = i + 1) lanes[i] = INIT[9*i +: 9];
        read_a     = 36'b0;
        read_b     = 36'b0;
        register_a = 36'b0;
        register_b = 36'b0;
    end

    always @(posedge CLKA) begin
        if (write_a)
            for (i = 0; i < 4; i = i + 1)
                if (|mask_a[9*i +: 9])
                    lanes[lane(WIDTH_A, ADA, i)] <= (lanes[lane(WIDTH_A, ADA, i)] & ~mask_a[9*i +: 9])
                                                  | (data_a[9*i +: 9] & mask_a[9*i +: 9]);
        if (RSTA) read_a <= 36'b0;
        else if (CEA & !(write_a & WRITEMODE_A == 0)) read_a <= pick(WIDTH_A, ADA, next_a);
        if (RSTA) register_a <= 36'b0;
        else if (OCEA) register_a <= read_a;
    end
    always @(posedge CLKB) begin
        if (write_b)
            for (i = 0; i < 4; i = i + 1)
                if (|mask_b[9*i +: 9])
                    lanes[lane(WIDTH_B, ADB, i)] <= (lanes[lane(WIDTH_B, ADB, i)] & ~mask_b[9*i +: 9])
                                                  | (data_b[9*i +: 9] & mask_b[9*i +: 9]);
        if (RSTB) read_b <= 36'b0;
        else if (CEB & !(write_b & WRITEMODE_B == 0)) read_b <= pick(WIDTH_B, ADB, next_b);
        if (RSTB) register_b <= 36'b0;
        else if (OCEB) register_b <= read_b;
    end

    // Lane i of the word at an address.
    function [10:0] lane(input integer width, input [13:0] address, input integer i);
        case (width)
            36:      lane = {address[13:5], 2'b00} + i[10:0];
            18:      lane = {address[13:4], 1'b0} + i[10:0];
            default: lane = address[13:3];
        endcase
    endfunction

    // The lanes of the word at an address, lane 0 lowest.
    function [35:0] word(input integer width, input [13:0] address);
        word = {lanes[lane(width, address, 3)], lanes[lane(width, address, 2)],
                lanes[lane(width, address, 1)], lanes[lane(width, address, 0)]};
    endfunction

    // Bits of the word that a write changes.
    function [35:0] write_mask(input integer width, input [13:0] address);
        case (width)
            36:      write_mask = {{9{address[3]}}, {9{address[2]}}, {9{address[1]}}, {9{address[0]}}};
            18:      write_mask = {18'b0, {9{address[1]}}, {9{address[0]}}};
            9:       write_mask = 36'h1ff;
            4:       write_mask = 36'hf << {address[2], 2'b00};
            2:       write_mask = 36'h3 << {address[2:1], 1'b0};
            default: write_mask = 36'h1 << address[2:0];
        endcase
    endfunction

    // Data at its place in the word, and back.
    function [35:0] spread(input integer width, input [13:0] address, input [35:0] data);
        case (width)
            4:       spread = {32'b0, data[3:0]} << {address[2], 2'b00};
            2:       spread = {34'b0, data[1:0]} << {address[2:1], 1'b0};
            1:       spread = {35'b0, data[0]} << address[2:0];
            default: spread = data;
        endcase
    endfunction
    function [35:0] pick(input integer width, input [13:0] address, input [35:0] found);
        case (width)
            18:      pick = found & 36'h3ffff;
            9:       pick = found & 36'h1ff;
            4:       pick = (found >> {address[2], 2'b00}) & 36'hf;
            2:       pick = (found >> {address[2:1], 1'b0}) & 36'h3;
            1:       pick = (found >> address[2:0]) & 36'h1;
            default: pick = found;
        endcase
    endfunction

    // Whether the words of the two ports share a bit: the wider one decides.
    function same_word(input [13:0] address_a, input [13:0] address_b);
        integer wider;
        wider = WIDTH_A > WIDTH_B ? WIDTH_A : WIDTH_B;
        case (wider)
            36:      same_word = address_a[13:5] == address_b[13:5];
            18:      same_word = address_a[13:4] == address_b[13:4];
            9:       same_word = address_a[13:3] == address_b[13:3];
            4:       same_word = address_a[13:2] == address_b[13:2];
            2:       same_word = address_a[13:1] == address_b[13:1];
            default: same_word = address_a == address_b;
        endcase
    endfunction

    // Bits of a word that the other port's write leaves undefined: those written, or all where widths differ.
    function [35:0] undefined(input [35:0] mask);
        undefined = WIDTH_A == WIDTH_B ? mask : {36{|mask}};
    endfunction
endmodule
