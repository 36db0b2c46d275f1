// GEMM engine: INT32 sums of ROWS output channels x COLS tokens from N:M weights and INT8 activations.
//
// acc[n, m] = sum over groups g of mult[n, g] * (sum over kept k in g of code[n, k] * act[m, k])
//
// One build runs every pattern keep:OF with 1 <= keep <= OF, chosen by the port `keep`, and all that
// nest in it: 1:2 is 2:4, dense is OF:OF. The array has one multiplier a PE and lane, and takes
// `keep` steps a window. Five AXI4-Stream ports; fields are packed with their first element in the
// lowest bits, and a beat is padded to whole bytes:
//   s_code   a beat a step     ROWS x LANES codes of BITS
//   s_index  a beat a step     ROWS x LANES offsets inside the window, ascending from step to step;
//                              never looked at (tready stays low) where keep == OF
//   s_mult   a beat a group    ROWS x uint8
//   s_act    a beat a window   COLS x LANES x OF x int8 in -127..127
//   m_acc    ROWS x int32, COLS beats a tile, tlast on the last one
// tready of an input waits for tvalid of the others, as AXI4-Stream allows: a step is taken whole.
// `keep` and `groups_per_tile` (K / GROUP, at least 1) may change only under reset.
// `index_error` rises with an offset that does not ascend and stays up until reset; no tile that was
// not sent yet is sent.
module nmforge_gemm #(
    parameter  int OF     = 4,
    parameter  int BITS   = 4,
    parameter  int LANES  = 1,
    parameter  int ROWS   = 4,
    parameter  int COLS   = 4,
    parameter  int GROUP  = 64,
    localparam int KEEPW  = $clog2(OF + 1),
    localparam int IDXW   = (OF > 1) ? $clog2(OF) : 1,
    localparam int CODE_B = 8 * ((ROWS * LANES * BITS + 7) / 8),
    localparam int IDX_B  = 8 * ((ROWS * LANES * IDXW + 7) / 8)
) (
    input  logic                       aclk,
    input  logic                       aresetn,
    input  logic [KEEPW-1:0]           keep,
    input  logic [15:0]                groups_per_tile,
    output logic                       index_error,

    input  logic [CODE_B-1:0]          s_code_tdata,
    input  logic                       s_code_tvalid,
    output logic                       s_code_tready,
    input  logic [IDX_B-1:0]           s_index_tdata,
    input  logic                       s_index_tvalid,
    output logic                       s_index_tready,
    input  logic [ROWS*8-1:0]          s_mult_tdata,
    input  logic                       s_mult_tvalid,
    output logic                       s_mult_tready,
    input  logic [COLS*LANES*OF*8-1:0] s_act_tdata,
    input  logic                       s_act_tvalid,
    output logic                       s_act_tready,

    output logic [ROWS*32-1:0]         m_acc_tdata,
    output logic                       m_acc_tvalid,
    output logic                       m_acc_tlast,
    input  logic                       m_acc_tready
);
    if (GROUP % (OF * LANES) != 0) begin : wrong_group
        $error("GROUP must hold whole windows of OF for every lane");
    end
    if (2 * COLS * LANES > GROUP) begin : stalls
        $error("2*COLS must not exceed the steps of a dense group, GROUP / LANES");
    end

    // ---- launch: one step a cycle, when everything that it needs is there ----
    nmforge_types::control_t control;
    logic                    every_place;  // dense: offsets are the steps themselves
    logic                    tile_sent, tile_done, shift, awake, unused_padding;
    logic [IDXW-1:0]         step;

    assign every_place = keep == KEEPW'(OF);
    always_ff @(posedge aclk) awake <= aresetn;   // nothing is taken under reset
    nmforge_sequencer #(.OF(OF), .WINDOWS(GROUP / (OF * LANES))) sequencer (
        .clk(aclk), .rst_n(aresetn), .keep, .groups_per_tile,
        .step_offered(awake & s_code_tvalid & (s_index_tvalid | every_place)),
        .window_offered(s_act_tvalid), .mult_offered(s_mult_tvalid), .tile_sent, .control, .step
    );
    assign s_code_tready  = control.valid;
    assign s_index_tready = control.valid & !every_place;
    assign s_act_tready   = control.valid & control.window_start;
    assign s_mult_tready  = control.valid & control.group_end;
    assign unused_padding = ^{s_code_tdata, s_index_tdata};

    nmforge_datapath #(.OF(OF), .BITS(BITS), .LANES(LANES), .ROWS(ROWS), .COLS(COLS), .GROUP(GROUP)) datapath (
        .clk(aclk), .rst_n(aresetn), .control_in(control),
        .code(s_code_tdata[ROWS*LANES*BITS-1:0]),
        .index(every_place ? {ROWS*LANES{step}} : s_index_tdata[ROWS*LANES*IDXW-1:0]),
        .mult(s_mult_tdata), .act(s_act_tdata),
        .index_error, .oldest(m_acc_tdata), .tile_done, .shift
    );
    nmforge_output #(.COLS(COLS)) sender (
        .clk(aclk), .rst_n(aresetn), .tile_done, .shift, .tile_sent,
        .tvalid(m_acc_tvalid), .tlast(m_acc_tlast), .tready(m_acc_tready)
    );
endmodule
