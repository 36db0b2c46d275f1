// GEMV engine: INT32 sums of ROWS x COLS output channels for one token, weights at full memory rate.
//
// acc[n] = sum over groups g of mult[n, g] * (sum over kept k in g of code[n, k] * act[k])
//
// A decode step uses every weight once, so nothing is reused but the activations: they are written
// into a bank of block RAM once per token and read again for every tile of channels. Every PE has
// its own weights; the window enters PE (0, 0) and hops right along each row and down the first
// column. A row drains as in the GEMM engine, and its scale unit takes COLS multipliers a group.
// Ports and `keep` are those of nmforge_gemm, with three differences:
//   s_code, s_index, s_mult   carry ROWS x COLS channels, channel r*COLS + c in PE (r, c)
//   s_act                     LANES x OF x int8 a beat; K / (OF*LANES) beats a token, at most DEPTH
//   m_acc                     COLS beats a tile; beat c holds channels c, COLS + c, 2*COLS + c, ...
// `tiles_per_token` says after how many tiles the bank takes the next token.
module nmforge_gemv #(
    parameter  int OF     = 4,
    parameter  int BITS   = 4,
    parameter  int LANES  = 1,
    parameter  int ROWS   = 4,
    parameter  int COLS   = 4,
    parameter  int GROUP  = 64,
    parameter  int DEPTH  = 4096,
    localparam int N      = ROWS * COLS,
    localparam int KEEPW  = $clog2(OF + 1),
    localparam int IDXW   = (OF > 1) ? $clog2(OF) : 1,
    localparam int CODE_B = 8 * ((N * LANES * BITS + 7) / 8),
    localparam int IDX_B  = 8 * ((N * LANES * IDXW + 7) / 8)
) (
    input  logic                  aclk,
    input  logic                  aresetn,
    input  logic [KEEPW-1:0]      keep,
    input  logic [15:0]           groups_per_tile,
    input  logic [15:0]           tiles_per_token,
    output logic                  index_error,

    input  logic [CODE_B-1:0]     s_code_tdata,
    input  logic                  s_code_tvalid,
    output logic                  s_code_tready,
    input  logic [IDX_B-1:0]      s_index_tdata,
    input  logic                  s_index_tvalid,
    output logic                  s_index_tready,
    input  logic [N*8-1:0]        s_mult_tdata,
    input  logic                  s_mult_tvalid,
    output logic                  s_mult_tready,
    input  logic [LANES*OF*8-1:0] s_act_tdata,
    input  logic                  s_act_tvalid,
    output logic                  s_act_tready,

    output logic [ROWS*32-1:0]    m_acc_tdata,
    output logic                  m_acc_tvalid,
    output logic                  m_acc_tlast,
    input  logic                  m_acc_tready
);
    localparam int ACCW  = BITS + 7 + $clog2(GROUP);
    localparam int WORDW = LANES * (BITS + IDXW);

    if (2 * COLS * LANES > GROUP) begin : stalls
        $error("2*COLS must not exceed the steps of a dense group, GROUP / LANES");
    end

    // ---- launch ----
    nmforge_types::control_t launch;
    logic                    every_place, awake, window_ready, tile_end, tile_sent;
    logic [IDXW-1:0]         step;

    assign every_place = keep == KEEPW'(OF);
    assign tile_end    = launch.valid & launch.group_end & launch.last_group;
    always_ff @(posedge aclk) awake <= aresetn;   // nothing is taken under reset
    nmforge_sequencer #(.OF(OF), .WINDOWS(GROUP / (OF * LANES))) sequencer (
        .clk(aclk), .rst_n(aresetn), .keep, .groups_per_tile,
        .step_offered(awake & s_code_tvalid & (s_index_tvalid | every_place)),
        .window_offered(window_ready), .mult_offered(s_mult_tvalid), .tile_sent, .control(launch), .step
    );
    assign s_code_tready  = launch.valid;
    assign s_index_tready = launch.valid & !every_place;
    assign s_mult_tready  = launch.valid & launch.group_end;

    // ---- activation bank; a window stands two cycles after its step was launched ----
    logic [LANES*OF*8-1:0]   window_edge;
    logic [$clog2(DEPTH):0]  windows_per_token;

    assign windows_per_token = ($clog2(DEPTH)+1)'(32'(groups_per_tile) * (GROUP / (OF * LANES)));

    logic unused_second;   // a take reaches this bank in the cycle of its launch

    nmforge_activation_bank #(.WORD(LANES*OF*8), .DEPTH(DEPTH)) bank (
        .clk(aclk), .rst_n(aresetn), .windows(windows_per_token), .passes(tiles_per_token),
        .tdata(s_act_tdata), .tvalid(s_act_tvalid), .tready(s_act_tready),
        .window_ready, .second_ready(unused_second), .take(launch.valid & launch.window_start), .pass_end(tile_end),
        .window(window_edge)
    );

    // ---- two edge registers, as the bank has, then a delay of r+c cycles for PE (r, c) ----
    nmforge_types::control_t            fetching;
    logic [N-1:0][LANES-1:0][IDXW-1:0]  index_first;
    logic [N-1:0][LANES*BITS-1:0]       code_first;
    logic [ROWS-1:0][COLS*8-1:0]        mult_first;
    nmforge_types::control_t [ROWS-1:0] control;  // control[r] belongs to row r: r cycles later
    logic                               unused_padding;
    logic [N-1:0][LANES-1:0][IDXW-1:0]  index_edge;
    logic [N-1:0][LANES*BITS-1:0]       code_edge;
    logic [ROWS-1:0][COLS*8-1:0]        mult_edge, mult;

    always_ff @(posedge aclk) begin
        fetching   <= aresetn ? launch : '0;
        control[0] <= aresetn ? fetching : '0;
        for (int r = 1; r < ROWS; r++) control[r] <= aresetn ? control[r-1] : '0;
        code_first  <= s_code_tdata[N*LANES*BITS-1:0];
        index_first <= every_place ? {N*LANES{step}} : s_index_tdata[N*LANES*IDXW-1:0];
        mult_first  <= s_mult_tdata;
        code_edge   <= code_first;
        index_edge  <= index_first;
        mult_edge   <= mult_first;
    end
    assign unused_padding = ^{s_code_tdata, s_index_tdata};
    nmforge_skew #(.LANES(ROWS), .WIDTH(COLS*8)) mult_skew (.clk(aclk), .in(mult_edge), .out(mult));

    // ---- loader's check ----
    if (OF > 1) begin : check
        logic [N*LANES-1:0] bad;
        for (genvar i = 0; i < N * LANES; i++) begin : offset
            nmforge_index_check #(.OF(OF)) ascending (
                .clk(aclk), .valid(control[0].valid), .first(control[0].window_start),
                .index(index_edge[i/LANES][i%LANES]), .bad(bad[i])
            );
        end
        always_ff @(posedge aclk) index_error <= aresetn & (index_error | (|bad));
    end else begin : no_check
        assign index_error = 1'b0;
    end

    // ---- rows of PEs with their scale units ----
    logic [ROWS:0]                 row_load;
    logic [ROWS:0][LANES*OF*8-1:0] row_act;
    logic [ROWS-1:0]               tile_done;
    logic                          shift, unused_ends;

    assign row_load[0] = control[0].valid & control[0].window_start;
    assign row_act[0]  = window_edge;
    assign unused_ends = ^{row_load[ROWS], row_act[ROWS], tile_done};

    for (genvar r = 0; r < ROWS; r++) begin : row
        logic [COLS-1:0][WORDW-1:0] word_edge, word;
        logic                       drain_valid;
        logic [ACCW-1:0]            drain;

        for (genvar c = 0; c < COLS; c++) begin : pack
            for (genvar j = 0; j < LANES; j++) begin : weight
                assign word_edge[c][j*(BITS+IDXW) +: BITS+IDXW] =
                    {code_edge[r*COLS+c][j*BITS +: BITS], index_edge[r*COLS+c][j]};
            end
        end
        nmforge_skew #(.LANES(COLS), .WIDTH(WORDW), .FIRST(r)) skew (.clk(aclk), .in(word_edge), .out(word));

        nmforge_gemv_row #(.OF(OF), .BITS(BITS), .LANES(LANES), .COLS(COLS), .GROUP(GROUP)) pes (
            .clk(aclk), .rst_n(aresetn),
            .valid(control[r].valid), .last(control[r].group_end), .word,
            .load_in(row_load[r]), .act_in(row_act[r]), .load_down(row_load[r+1]), .act_down(row_act[r+1]),
            .drain_valid, .drain
        );
        nmforge_row_scale #(.COLS(COLS), .ACCW(ACCW), .MULTS(COLS)) scale (
            .clk(aclk), .rst_n(aresetn),
            .tag_valid(control[r].valid & control[r].group_end),
            .tag_last(control[r].last_group), .tag_mult(mult[r]), .missing('0),
            .drain_valid, .drain,
            .shift, .oldest(m_acc_tdata[r*32 +: 32]), .tile_done(tile_done[r])
        );
    end

    nmforge_output #(.COLS(COLS)) sender (
        .clk(aclk), .rst_n(aresetn), .tile_done(tile_done[ROWS-1] & !index_error), .shift, .tile_sent,
        .tvalid(m_acc_tvalid), .tlast(m_acc_tlast), .tready(m_acc_tready)
    );
endmodule
