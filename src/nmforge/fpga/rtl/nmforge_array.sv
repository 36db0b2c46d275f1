// ROWS x COLS output-stationary array: PE (r, c) owns the output of channel r and token c.
//
// Weights enter on the left and hop one column a cycle; activations enter at the top and hop one row
// a cycle. Row r and column c are fed r and c cycles late (nmforge_skew), so window w of both meets in
// PE (r, c) exactly r+c cycles after the launch. Group sums leave on the left, one every second
// cycle and column 0 first: column c captures c cycles late and then needs c hops.
module nmforge_array #(
    parameter  int KEEP  = 2,
    parameter  int OF    = 4,
    parameter  int BITS  = 4,
    parameter  int ROWS  = 4,
    parameter  int COLS  = 4,
    parameter  int GROUP = 64,
    localparam int SELW  = (OF > KEEP) ? $clog2(OF - KEEP + 1) : 1,
    localparam int ACCW  = BITS + 8 + $clog2(GROUP / OF * KEEP)
) (
    input  logic                           clk,
    input  logic                           rst_n,
    input  logic [ROWS-1:0]                valid,
    input  logic [ROWS-1:0]                last,
    input  logic [ROWS-1:0][KEEP*BITS-1:0] code,
    input  logic [ROWS-1:0][KEEP*SELW-1:0] sel,
    input  logic [COLS-1:0][OF*8-1:0]      act,
    output logic [ROWS-1:0]                drain_valid,
    output logic [ROWS-1:0][ACCW-1:0]      drain
);
    // Wire c of a row (or r of a column) is the input of PE c (or r); the last one leaves the array.
    logic [COLS:0][OF*8-1:0] unused_bottom;
    logic [ROWS:0][COLS-1:0][OF*8-1:0] act_wire;

    assign act_wire[0]   = act;
    assign unused_bottom = {act_wire[ROWS], {OF{8'b0}}};

    for (genvar r = 0; r < ROWS; r++) begin : row
        logic [COLS:0]                valid_wire, last_wire, drain_valid_wire;
        logic [COLS:0][KEEP*BITS-1:0] code_wire;
        logic [COLS:0][KEEP*SELW-1:0] sel_wire;
        logic [COLS:0][ACCW-1:0]      drain_wire;
        logic                         unused_right;

        assign valid_wire[0]          = valid[r];
        assign last_wire[0]           = last[r];
        assign code_wire[0]           = code[r];
        assign sel_wire[0]            = sel[r];
        assign drain_valid_wire[COLS] = 1'b0;
        assign drain_wire[COLS]       = '0;
        assign drain_valid[r]         = drain_valid_wire[0];
        assign drain[r]               = drain_wire[0];
        assign unused_right = ^{valid_wire[COLS], last_wire[COLS], code_wire[COLS], sel_wire[COLS]};

        for (genvar c = 0; c < COLS; c++) begin : col
            nmforge_pe #(.KEEP(KEEP), .OF(OF), .BITS(BITS), .GROUP(GROUP)) pe (
                .clk, .rst_n,
                .valid_in(valid_wire[c]), .valid_out(valid_wire[c+1]),
                .last_in(last_wire[c]), .last_out(last_wire[c+1]),
                .code_in(code_wire[c]), .code_out(code_wire[c+1]),
                .sel_in(sel_wire[c]), .sel_out(sel_wire[c+1]),
                .act_in(act_wire[r][c]), .act_out(act_wire[r+1][c]),
                .drain_valid_in(drain_valid_wire[c+1]), .drain_valid_out(drain_valid_wire[c]),
                .drain_in(drain_wire[c+1]), .drain_out(drain_wire[c])
            );
        end
    end
endmodule
