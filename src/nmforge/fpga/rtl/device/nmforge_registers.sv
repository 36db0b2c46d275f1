// AXI4-Lite register block: 32-bit registers, one access at a time, byte strobes ignored.
//
//   0x00 ID       read   0x4E4D4631, "NMF1"
//   0x04 BUILD    read   OF [31:24]  BITS [23:16]  ROWS [15:8]  COLS [7:0]
//   0x08 CONTROL  write  bit 0: reset the engine, banks and error included, for as long as it is set; the
//                        reset travels along the rows, so hold it for ROWS + 8 cycles
//   0x0C STATUS   read   bit 0: an offset did not ascend; no further tile is sent
//                        bit 1: sums are under way; the last ones may then still cross the chip to m_acc, so
//                        a job ends with the tlast of its last tile
//   0x10 KEEP            kept weights of a window, 1 .. OF
//   0x14 GROUPS          groups of a row tile: K / GROUP
//   0x18 COLUMN_TILES    column tiles that use a row tile of weights
//   0x1C ROW_TILES       row tiles that use the activations
//   0x20 WINDOWS         windows of all column tiles: COLUMN_TILES * K / (OF*LANES)
//   0x24 CYCLES   read   cycles since the engine left reset with sums under way
// Settings may change only while CONTROL bit 0 is set.
module nmforge_registers #(
    parameter  int OF    = 4,
    parameter  int BITS  = 4,
    parameter  int ROWS  = 8,
    parameter  int COLS  = 8,
    localparam int KEEPW = $clog2(OF + 1)
) (
    input  logic             clk,
    input  logic             rst_n,
    input  logic [5:0]       awaddr,
    input  logic             awvalid,
    output logic             awready,
    input  logic [31:0]      wdata,
    input  logic             wvalid,
    output logic             wready,
    output logic [1:0]       bresp,
    output logic             bvalid,
    input  logic             bready,
    input  logic [5:0]       araddr,
    input  logic             arvalid,
    output logic             arready,
    output logic [31:0]      rdata,
    output logic [1:0]       rresp,
    output logic             rvalid,
    input  logic             rready,

    output logic             engine_rst_n,
    output logic [KEEPW-1:0] keep,
    output logic [15:0]      groups_per_tile,
    output logic [15:0]      column_tiles,
    output logic [15:0]      row_tiles,
    output logic [15:0]      windows,
    input  logic             index_error,
    input  logic             busy
);
    // Accesses are captured first and carried out a cycle or two later: nothing but registers stands
    // between the pins and the settings.
    logic        write, fetch, choose, answer, hold_reset, unused_bits;
    logic [5:0]  write_address, read_address;
    logic [31:0] write_data, setting, other, value, cycles;

    assign wready      = awready;
    assign bresp       = 2'b00;
    assign rresp       = 2'b00;
    assign unused_bits = ^{write_address[1:0], read_address[1:0], write_data[31:16]};

    always_ff @(posedge clk) begin
        awready       <= rst_n & awvalid & wvalid & !awready & !write & !bvalid;
        write         <= rst_n & awready;
        write_address <= awaddr;
        write_data    <= wdata;
        bvalid        <= rst_n & (write | (bvalid & !bready));
        arready       <= rst_n & arvalid & !arready & !fetch & !choose & !answer & !rvalid;
        fetch         <= rst_n & arready;
        choose        <= rst_n & fetch;
        answer        <= rst_n & choose;
        if (arready) read_address <= araddr;
        rvalid        <= rst_n & (answer | (rvalid & !rready));
        if (answer) rdata <= value;
    end
    // Flip-flops are reset by a high level: from a register that holds just that, no inverter, and no way to
    // one, stands between it and all of them.
    logic engine_rst;
    always_ff @(posedge clk) engine_rst <= !rst_n | hold_reset;
    assign engine_rst_n = !engine_rst;
    always_ff @(posedge clk) begin
        if (!rst_n) begin
            hold_reset      <= 1'b1;
            keep            <= KEEPW'(OF);
            groups_per_tile <= 16'd1;
            column_tiles    <= 16'd1;
            row_tiles       <= 16'd1;
            windows         <= 16'd1;
        end else begin
            if (write) case (write_address[5:2])
                4'd2: hold_reset      <= write_data[0];
                4'd4: keep            <= write_data[KEEPW-1:0];
                4'd5: groups_per_tile <= write_data[15:0];
                4'd6: column_tiles    <= write_data[15:0];
                4'd7: row_tiles       <= write_data[15:0];
                4'd8: windows         <= write_data[15:0];
                default: ;
            endcase
        end
        if (!engine_rst_n) cycles <= '0;
        else if (busy) cycles <= cycles + 32'd1;
        case (read_address[3:2])
            2'd0: setting <= 32'(keep);
            2'd1: setting <= 32'(groups_per_tile);
            2'd2: setting <= 32'(column_tiles);
            default: setting <= 32'(row_tiles);
        endcase
        case (read_address[5:2])
            4'd0: other <= 32'h4E4D4631;
            4'd1: other <= {8'(OF), 8'(BITS), 8'(ROWS), 8'(COLS)};
            4'd2: other <= 32'(hold_reset);
            4'd3: other <= {30'd0, busy, index_error};
            4'd8: other <= 32'(windows);
            4'd9: other <= cycles;
            default: other <= '0;
        endcase
        value <= (read_address[5:4] == 2'd1) ? setting : other;
    end
endmodule
