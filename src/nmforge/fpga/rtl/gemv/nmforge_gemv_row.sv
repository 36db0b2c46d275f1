// One row of the GEMV engine: COLS PEs, each with its own weights, sharing windows and a drain chain.
//
// The window hops right from PE to PE. PE 0 also hands it down to the next row, one cycle later.
// PE c gets its weights and its step flags c cycles late, so its group sum is captured c cycles
// after PE 0's and needs c hops to the left edge: one sum every second cycle, as in nmforge_array.
module nmforge_gemv_row #(
    parameter  int OF    = 4,
    parameter  int BITS  = 4,
    parameter  int LANES = 1,
    parameter  int COLS  = 4,
    parameter  int GROUP = 64,
    localparam int IDXW  = (OF > 1) ? $clog2(OF) : 1,
    localparam int WORDW = BITS + IDXW,
    localparam int ACCW  = BITS + 7 + $clog2(GROUP)
) (
    input  logic                            clk,
    input  logic                            rst_n,
    input  logic                            valid,
    input  logic                            last,
    input  logic [COLS-1:0][LANES*WORDW-1:0] word,   // word[c] belongs to PE c, c cycles later
    input  logic                            load_in,
    input  logic [LANES*OF*8-1:0]           act_in,
    output logic                            load_down,
    output logic [LANES*OF*8-1:0]           act_down,
    output logic                            drain_valid,
    output logic [ACCW-1:0]                 drain
);
    logic [COLS:0]                 valid_wire, last_wire, load_wire, drain_valid_wire;
    logic [COLS:0][LANES*OF*8-1:0] act_wire;
    logic [COLS:0][ACCW-1:0]       drain_wire;
    logic                          unused_right;

    assign valid_wire[0]          = valid;
    assign last_wire[0]           = last;
    assign load_wire[0]           = load_in;
    assign act_wire[0]            = act_in;
    assign drain_valid_wire[COLS] = 1'b0;
    assign drain_wire[COLS]       = '0;
    assign drain_valid            = drain_valid_wire[0];
    assign drain                  = drain_wire[0];
    assign load_down              = load_wire[1];
    assign act_down               = act_wire[1];
    assign unused_right           = ^{valid_wire[COLS], last_wire[COLS], load_wire[COLS], act_wire[COLS]};

    for (genvar c = 0; c < COLS; c++) begin : col
        logic [LANES*WORDW-1:0] unused_word;

        nmforge_pe #(.OF(OF), .BITS(BITS), .LANES(LANES), .GROUP(GROUP), .EXACT(1'b1)) pe (
            .clk, .rst_n,
            .valid_in(valid_wire[c]), .valid_out(valid_wire[c+1]),
            .last_in(last_wire[c]), .last_out(last_wire[c+1]),
            .word_in(word[c]), .word_out(unused_word),
            .load_in(load_wire[c]), .load_out(load_wire[c+1]),
            .act_in(act_wire[c]), .act_out(act_wire[c+1]),
            .drain_valid_in(drain_valid_wire[c+1]), .drain_valid_out(drain_valid_wire[c]),
            .drain_in(drain_wire[c+1]), .drain_out(drain_wire[c])
        );
    end
endmodule
