// GEMM engine: INT32 sums of ROWS output channels x COLS tokens from N:M weights and INT8 activations.
//
// acc[n, m] = sum over groups g of mult[n, g] * (sum over kept k in g of code[n, k] * act[m, k])
//
// Five AXI4-Stream ports. Inputs carry one beat a window (mult: one beat a group); every field is
// packed with its first element in the lowest bits and the beat is padded to whole bytes:
//   s_code   ROWS x KEEP codes of BITS         s_index  ROWS x KEEP offsets inside the window
//   s_mult   ROWS x uint8                      s_act    COLS x OF x int8
//   m_acc    ROWS x int32, COLS beats a tile, tlast on the last one
// A dense engine (KEEP == OF) has no offsets: it never looks at s_index and never raises its tready.
// tready of an input waits for tvalid of the others, as AXI4-Stream allows: a window is taken whole.
// `groups_per_tile` (K / GROUP, at least 1) must not change while a tile is under way.
// `index_error` rises with a window whose offsets do not ascend and stays up until reset.
module nmforge_gemm #(
    parameter  int KEEP   = 2,
    parameter  int OF     = 4,
    parameter  int BITS   = 4,
    parameter  int ROWS   = 4,
    parameter  int COLS   = 4,
    parameter  int GROUP  = 64,
    localparam int IDXW   = (OF > 1) ? $clog2(OF) : 1,
    localparam int CODE_B = 8 * ((ROWS * KEEP * BITS + 7) / 8),
    localparam int IDX_B  = 8 * ((ROWS * KEEP * IDXW + 7) / 8)
) (
    input  logic                 aclk,
    input  logic                 aresetn,
    input  logic [15:0]          groups_per_tile,
    output logic                 index_error,

    input  logic [CODE_B-1:0]    s_code_tdata,
    input  logic                 s_code_tvalid,
    output logic                 s_code_tready,
    input  logic [IDX_B-1:0]     s_index_tdata,
    input  logic                 s_index_tvalid,
    output logic                 s_index_tready,
    input  logic [ROWS*8-1:0]    s_mult_tdata,
    input  logic                 s_mult_tvalid,
    output logic                 s_mult_tready,
    input  logic [COLS*OF*8-1:0] s_act_tdata,
    input  logic                 s_act_tvalid,
    output logic                 s_act_tready,

    output logic [ROWS*32-1:0]   m_acc_tdata,
    output logic                 m_acc_tvalid,
    output logic                 m_acc_tlast,
    input  logic                 m_acc_tready
);
    localparam int SELW = (OF > KEEP) ? $clog2(OF - KEEP + 1) : 1;
    localparam int ACCW = BITS + 8 + $clog2(GROUP / OF * KEEP);
    localparam int COLW = (COLS > 1) ? $clog2(COLS) : 1;
    localparam bit DENSE = KEEP == OF;

    if (KEEP < 1 || KEEP > OF) begin : wrong_pattern
        $error("KEEP must be in 1 .. OF");
    end
    if (GROUP % OF != 0) begin : wrong_group
        $error("GROUP must hold whole windows of OF");
    end
    if (2 * COLS > GROUP / OF) begin : scale_unit_would_stall
        $error("no-stall rule: 2*COLS must not exceed GROUP/OF");
    end

    typedef struct packed {
        logic valid;        // a window, not a bubble
        logic group_end;
        logic first_group;
        logic last_group;
    } control_t;

    // ---- launch: one window a cycle, when everything that it needs is there ----
    logic launch, group_end, first_group, last_group, slot_released;

    nmforge_sequencer #(.WINDOWS(GROUP / OF)) sequencer (
        .clk(aclk), .rst_n(aresetn), .groups_per_tile,
        .window_offered(s_code_tvalid & s_act_tvalid & (s_index_tvalid | DENSE)),
        .mult_offered(s_mult_tvalid),
        .slot_released, .launch, .group_end, .first_group, .last_group
    );
    assign s_code_tready  = launch;
    assign s_act_tready   = launch;
    assign s_index_tready = launch & !DENSE;
    assign s_mult_tready  = launch & group_end;

    // ---- loader: offsets become selects, broken ones are reported ----
    logic [ROWS-1:0][KEEP*SELW-1:0] sel;
    logic [ROWS-1:0]                bad;

    for (genvar r = 0; r < ROWS; r++) begin : loader
        if (DENSE) begin : dense
            assign sel[r] = '0;
            assign bad[r] = 1'b0;
        end else begin : sparse
            nmforge_index_check #(.KEEP(KEEP), .OF(OF)) check (
                .index(s_index_tdata[r*KEEP*IDXW +: KEEP*IDXW]), .sel(sel[r]), .bad(bad[r])
            );
        end
    end
    logic unused_padding;
    assign unused_padding = ^{s_code_tdata, s_index_tdata, s_index_tvalid};

    always_ff @(posedge aclk) begin
        if (!aresetn) index_error <= 1'b0;
        else if (launch & (|bad)) index_error <= 1'b1;
    end

    // ---- edge registers, then the skew that lines windows up along the diagonals ----
    localparam int WORDW = KEEP * (BITS + SELW) + 8;  // codes, selects, group multiplier of one row
    control_t [ROWS-1:0]          control;            // control[r] belongs to row r: r cycles later
    logic [ROWS-1:0][WORDW-1:0]   word_edge, word;
    logic [COLS-1:0][OF*8-1:0]    act_edge, act;

    always_ff @(posedge aclk) begin
        control[0] <= '{valid: launch, group_end: group_end, first_group: first_group, last_group: last_group};
        for (int r = 1; r < ROWS; r++) control[r] <= aresetn ? control[r-1] : '0;
        act_edge <= s_act_tdata;
        for (int r = 0; r < ROWS; r++)
            word_edge[r] <= {s_code_tdata[r*KEEP*BITS +: KEEP*BITS], sel[r], s_mult_tdata[r*8 +: 8]};
    end
    nmforge_skew #(.LANES(ROWS), .WIDTH(WORDW)) weight_skew (.clk(aclk), .in(word_edge), .out(word));
    nmforge_skew #(.LANES(COLS), .WIDTH(OF*8)) act_skew (.clk(aclk), .in(act_edge), .out(act));

    // ---- array ----
    logic [ROWS-1:0]                valid, last, drain_valid;
    logic [ROWS-1:0][KEEP*BITS-1:0] row_code;
    logic [ROWS-1:0][KEEP*SELW-1:0] row_sel;
    logic [ROWS-1:0][ACCW-1:0]      drain;

    nmforge_array #(.KEEP(KEEP), .OF(OF), .BITS(BITS), .ROWS(ROWS), .COLS(COLS), .GROUP(GROUP)) array (
        .clk(aclk), .rst_n(aresetn), .valid, .last, .code(row_code), .sel(row_sel), .act,
        .drain_valid, .drain
    );

    // ---- row edges: scale, sum, hold for the output ----
    logic [COLW:0]   read_address;
    logic [ROWS-1:0] tile_done;
    logic            unused_done;

    for (genvar r = 0; r < ROWS; r++) begin : edges
        assign valid[r] = control[r].valid;
        assign last[r]  = control[r].group_end;
        assign {row_code[r], row_sel[r]} = word[r][WORDW-1:8];

        nmforge_row_scale #(.COLS(COLS), .ACCW(ACCW)) scale (
            .clk(aclk), .rst_n(aresetn),
            .tag_valid(control[r].valid & control[r].group_end),
            .tag_first(control[r].first_group), .tag_last(control[r].last_group),
            .tag_mult(word[r][7:0]),
            .drain_valid(drain_valid[r]), .drain(drain[r]),
            .read_address, .read_data(m_acc_tdata[r*32 +: 32]), .tile_done(tile_done[r])
        );
    end
    assign unused_done = ^tile_done;

    // The last row runs ROWS-1 cycles behind the first one: when it is done, all rows are.
    nmforge_output #(.COLS(COLS)) sender (
        .clk(aclk), .rst_n(aresetn), .tile_done(tile_done[ROWS-1]), .read_address, .slot_released,
        .tvalid(m_acc_tvalid), .tlast(m_acc_tlast), .tready(m_acc_tready)
    );
endmodule
