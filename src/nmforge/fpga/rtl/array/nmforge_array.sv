// ROWS x COLS output-stationary array: PE (r, c) owns the output of channel r and token c.
//
// Weights enter on the left and hop one column a cycle; windows enter at the top and hop one row a
// cycle. Row r and column c are fed r and c cycles late (nmforge_skew), so a step and its window
// meet in PE (r, c) exactly r+c cycles after the launch. Group sums leave on the left, one every
// second cycle and column 0 first: column c captures c cycles late and then needs c hops.
module nmforge_array #(
    parameter  int OF    = 4,
    parameter  int BITS  = 4,
    parameter  int LANES = 1,
    parameter  int ROWS  = 4,
    parameter  int COLS  = 4,
    parameter  int GROUP = 64,
    localparam int SELW  = (OF > 1) ? $clog2(OF) : 1,
    localparam int WORDW = SELW + 1 + 2 * ((BITS + 1) / 2),
    localparam int ACCW  = BITS + 7 + $clog2(GROUP)
) (
    input  logic                            clk,
    input  logic [ROWS-1:0]                 rst_n,
    input  logic [ROWS-1:0]                 valid,
    input  logic [ROWS-1:0]                 last,
    input  logic [ROWS-1:0][LANES*WORDW-1:0] word,
    input  logic [COLS-1:0]                 load,
    input  logic [COLS-1:0][LANES*OF*8-1:0] act,
    output logic [ROWS-1:0]                 drain_valid,
    output logic [ROWS-1:0][ACCW-1:0]       drain
);
    // Wire c of a row (or r of a column) is the input of PE c (or r); the last one leaves the array.
    logic [ROWS:0][COLS-1:0]                 load_wire;
    logic [ROWS:0][COLS-1:0][LANES*OF*8-1:0] act_wire;
    logic                                    unused_bottom;

    assign load_wire[0]  = load;
    assign act_wire[0]   = act;
    assign unused_bottom = ^{load_wire[ROWS], act_wire[ROWS]};

    for (genvar r = 0; r < ROWS; r++) begin : row
        logic [COLS:0]                 valid_wire, last_wire, drain_valid_wire;
        logic [COLS:0][LANES*WORDW-1:0] word_wire;
        logic [COLS:0][ACCW-1:0]       drain_wire;
        logic                          unused_right;

        assign valid_wire[0]          = valid[r];
        assign last_wire[0]           = last[r];
        assign word_wire[0]           = word[r];
        assign drain_valid_wire[COLS] = 1'b0;
        assign drain_wire[COLS]       = '0;
        assign drain_valid[r]         = drain_valid_wire[0];
        assign drain[r]               = drain_wire[0];
        assign unused_right = ^{valid_wire[COLS], last_wire[COLS], word_wire[COLS]};

        for (genvar c = 0; c < COLS; c++) begin : col
            nmforge_pe #(.OF(OF), .BITS(BITS), .LANES(LANES), .GROUP(GROUP)) pe (
                .clk, .rst_n(rst_n[r]),
                .valid_in(valid_wire[c]), .valid_out(valid_wire[c+1]),
                .last_in(last_wire[c]), .last_out(last_wire[c+1]),
                .word_in(word_wire[c]), .word_out(word_wire[c+1]),
                .load_in(load_wire[r][c]), .load_out(load_wire[r+1][c]),
                .act_in(act_wire[r][c]), .act_out(act_wire[r+1][c]),
                .drain_valid_in(drain_valid_wire[c+1]), .drain_valid_out(drain_valid_wire[c]),
                .drain_in(drain_wire[c+1]), .drain_out(drain_wire[c])
            );
        end
    end
endmodule
