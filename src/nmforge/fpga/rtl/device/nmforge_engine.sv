// The engine as a device: register block, banks that reuse what is loaded, array, narrow streams.
//
//   s_axi     AXI4-Lite: nmforge_registers
//   s_weight  the weight image, WORD bits a beat, row tile after row tile (nmforge_weight_loader)
//   s_act     windows of a column tile, COLS x LANES x OF x int8 each, ACT bits a beat; column tile
//             after column tile, once for all row tiles
//   m_acc     int32 sums, one a beat: for every tile, token after token, channel after channel;
//             tlast on the last one of a tile
//
// For every row tile the engine runs over all column tiles, while the next row tile is loaded; the
// activations stay. A launch is a register before it reaches the banks, which are spread over the
// device: everything that a step needs is addressed one cycle after its launch and read from block
// RAM two cycles later, together with the delayed control of the step. What the banks offer is
// therefore one launch old, and `window_offered` looks one window further behind a take. That also
// keeps a step from being launched right behind the last one of a row tile, whose buffer may be the
// last one filled: all windows are taken by then, and the next pass over them begins a cycle later.
module nmforge_engine #(
    parameter  int OF      = 4,
    parameter  int BITS    = 4,
    parameter  int LANES   = 1,
    parameter  int ROWS    = 8,
    parameter  int COLS    = 8,
    parameter  int GROUP   = 64,
    parameter  int WORD    = 16,     // bits of a beat of s_weight; divides the rows of every plane
    parameter  int ACT     = 32,     // bits of a beat of s_act; divides a window
    parameter  int STEPS   = 2048,   // most steps of a tile: K / (OF*LANES) * keep
    parameter  int GROUPS  = 128,    // most groups of a tile: K / GROUP
    parameter  int WINDOWS = 2048,   // most windows of all column tiles together
    localparam int KEEPW   = $clog2(OF + 1),
    localparam int IDXW    = (OF > 1) ? $clog2(OF) : 1,
    localparam int STEPW   = $clog2(STEPS)
) (
    input  logic            aclk,
    input  logic            aresetn,

    input  logic [5:0]      s_axi_awaddr,
    input  logic            s_axi_awvalid,
    output logic            s_axi_awready,
    input  logic [31:0]     s_axi_wdata,
    input  logic            s_axi_wvalid,
    output logic            s_axi_wready,
    output logic [1:0]      s_axi_bresp,
    output logic            s_axi_bvalid,
    input  logic            s_axi_bready,
    input  logic [5:0]      s_axi_araddr,
    input  logic            s_axi_arvalid,
    output logic            s_axi_arready,
    output logic [31:0]     s_axi_rdata,
    output logic [1:0]      s_axi_rresp,
    output logic            s_axi_rvalid,
    input  logic            s_axi_rready,

    input  logic [WORD-1:0] s_weight_tdata,
    input  logic            s_weight_tvalid,
    output logic            s_weight_tready,
    input  logic [ACT-1:0]  s_act_tdata,
    input  logic            s_act_tvalid,
    output logic            s_act_tready,
    output logic [31:0]     m_acc_tdata,
    output logic            m_acc_tvalid,
    output logic            m_acc_tlast,
    input  logic            m_acc_tready
);
    localparam int CODE_B    = ROWS * LANES * BITS;
    localparam int INDEX_B   = ROWS * LANES * IDXW;
    localparam int WINDOW_B  = COLS * LANES * OF * 8;
    localparam int PER_GROUP = GROUP / (OF * LANES);   // windows of a lane
    localparam int INDEX_WORDS = (OF > 1) ? INDEX_B / WORD : 1;  // a dense-only build has no index plane

    if (CODE_B % WORD != 0 || (OF > 1 && INDEX_B % WORD != 0) || ROWS * 8 % WORD != 0) begin : wrong_word
        $error("WORD must divide ROWS*LANES*BITS, ROWS*LANES*log2(OF) and ROWS*8");
    end
    if (WINDOW_B % ACT != 0) begin : wrong_act
        $error("ACT must divide COLS*LANES*OF*8");
    end
    if (2 * COLS * LANES > GROUP) begin : stalls
        $error("2*COLS must not exceed the steps of a dense group, GROUP / LANES");
    end

    // ---- settings ----
    logic             rst_n, every_place, busy, index_error;
    logic [KEEPW-1:0] keep;
    logic [15:0]      groups_per_tile, column_tiles, row_tiles, windows;

    nmforge_registers #(.OF(OF), .BITS(BITS), .ROWS(ROWS), .COLS(COLS)) registers (
        .clk(aclk), .rst_n(aresetn),
        .awaddr(s_axi_awaddr), .awvalid(s_axi_awvalid), .awready(s_axi_awready),
        .wdata(s_axi_wdata), .wvalid(s_axi_wvalid), .wready(s_axi_wready),
        .bresp(s_axi_bresp), .bvalid(s_axi_bvalid), .bready(s_axi_bready),
        .araddr(s_axi_araddr), .arvalid(s_axi_arvalid), .arready(s_axi_arready),
        .rdata(s_axi_rdata), .rresp(s_axi_rresp), .rvalid(s_axi_rvalid), .rready(s_axi_rready),
        .engine_rst_n(rst_n), .keep, .groups_per_tile, .column_tiles, .row_tiles, .windows, .index_error, .busy
    );
    logic [STEPW:0] steps_per_group;

    always_ff @(posedge aclk) every_place <= keep == KEEPW'(OF);
    assign steps_per_group = (STEPW+1)'(32'(keep) * PER_GROUP);

    // ---- streams, which cross half the device ----
    logic [WORD-1:0] weight_data;
    logic [ACT-1:0]  act_data;
    logic [31:0]     sum_data;
    logic            weight_valid, weight_ready, act_valid, act_ready, sum_valid, sum_last, sum_ready;

    nmforge_crossing #(.WIDTH(WORD)) weight_in (
        .clk(aclk), .rst_n, .in_data(s_weight_tdata), .in_valid(s_weight_tvalid), .in_ready(s_weight_tready),
        .out_data(weight_data), .out_valid(weight_valid), .out_ready(weight_ready)
    );
    nmforge_crossing #(.WIDTH(ACT)) act_in (
        .clk(aclk), .rst_n, .in_data(s_act_tdata), .in_valid(s_act_tvalid), .in_ready(s_act_tready),
        .out_data(act_data), .out_valid(act_valid), .out_ready(act_ready)
    );
    nmforge_crossing #(.WIDTH(33)) sum_out (
        .clk(aclk), .rst_n, .in_data({sum_last, sum_data}), .in_valid(sum_valid), .in_ready(sum_ready),
        .out_data({m_acc_tlast, m_acc_tdata}), .out_valid(m_acc_tvalid), .out_ready(m_acc_tready)
    );

    // ---- launch ----
    nmforge_types::control_t launch, launched, fetching, control;
    logic [IDXW-1:0]         step, step_launched, step_fetching, step_read;
    logic                    tile_ready, window_ready, second_ready, buffer_end, tile_sent;
    logic                    take, take_mult, take_window, tile_end;   // of the step in `launched`

    nmforge_sequencer #(.OF(OF), .WINDOWS(PER_GROUP)) sequencer (
        .clk(aclk), .rst_n, .keep, .groups_per_tile,
        .step_offered(tile_ready), .window_offered(take_window ? second_ready : window_ready),
        .mult_offered(1'b1), .tile_sent, .control(launch), .step
    );
    always_ff @(posedge aclk) begin
        launched    <= rst_n ? launch : '0;
        take        <= rst_n & launch.valid;
        take_mult   <= rst_n & launch.valid & launch.group_end;
        take_window <= rst_n & launch.valid & launch.window_start;
        tile_end    <= rst_n & launch.valid & launch.group_end & launch.last_group;
    end

    // ---- banks; control waits two cycles for them ----
    logic [CODE_B-1:0]           code;
    logic [INDEX_WORDS*WORD-1:0] index_row;
    logic [INDEX_B-1:0]          index;
    logic [ROWS*8-1:0]           mult;
    logic [WINDOW_B-1:0]         window;

    nmforge_weight_bank #(
        .WORD(WORD), .CODE_WORDS(CODE_B / WORD), .INDEX_WORDS(INDEX_WORDS), .MULT_WORDS(ROWS * 8 / WORD),
        .BLOCK_GROUPS((GROUP < 512) ? 512 / GROUP : 1), .STEPS(STEPS), .GROUPS(GROUPS)
    ) weights (
        .clk(aclk), .rst_n, .every_place, .groups_per_tile, .steps_per_group, .column_tiles,
        .tdata(weight_data), .tvalid(weight_valid), .tready(weight_ready),
        .tile_ready, .take, .take_mult, .tile_end, .buffer_end,
        .code, .index(index_row), .mult
    );
    nmforge_activation_bank #(.WORD(ACT), .SLICES(WINDOW_B / ACT), .DEPTH(WINDOWS)) activations (
        .clk(aclk), .rst_n, .windows(windows[$clog2(WINDOWS):0]), .passes(row_tiles),
        .tdata(act_data), .tvalid(act_valid), .tready(act_ready),
        .window_ready, .second_ready, .take(take_window), .pass_end(buffer_end), .window
    );
    always_ff @(posedge aclk) begin
        fetching      <= rst_n ? launched : '0;
        control       <= rst_n ? fetching : '0;
        step_launched <= step;
        step_fetching <= step_launched;
        step_read     <= step_fetching;
    end
    logic unused_windows;
    assign unused_windows = ^windows;
    if (OF == 1) begin : no_index
        logic unused_index;
        assign index        = '0;
        assign unused_index = ^{index_row, step_read, every_place};
    end else begin : with_index
        assign index = every_place ? {ROWS*LANES{step_read}} : index_row;
    end

    // ---- array ----
    logic [ROWS-1:0][31:0] oldest;
    logic                  tile_done, shift;

    nmforge_datapath #(.OF(OF), .BITS(BITS), .LANES(LANES), .ROWS(ROWS), .COLS(COLS), .GROUP(GROUP)) datapath (
        .clk(aclk), .rst_n, .control_in(control), .code, .index, .mult, .act(window),
        .index_error, .oldest, .tile_done, .shift
    );
    nmforge_serial_output #(.ROWS(ROWS), .COLS(COLS)) sender (
        .clk(aclk), .rst_n, .tile_done, .oldest, .shift, .tile_sent,
        .tdata(sum_data), .tvalid(sum_valid), .tlast(sum_last), .tready(sum_ready)
    );

    // ---- busy from the first word taken to the last sum of the last tile handed over ----
    logic tile_out, last_out, last_row;

    always_ff @(posedge aclk) tile_out <= rst_n & sum_valid & sum_ready & sum_last;
    nmforge_counter #(.WIDTH(16)) columns (
        .clk(aclk), .rst_n, .total(column_tiles), .count(tile_out), .last(last_out)
    );
    nmforge_counter #(.WIDTH(16)) rows (
        .clk(aclk), .rst_n, .total(row_tiles), .count(tile_out & last_out), .last(last_row)
    );
    always_ff @(posedge aclk)
        busy <= rst_n & !(tile_out & last_out & last_row) & (busy | act_valid | weight_valid);
endmodule
