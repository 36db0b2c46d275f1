// AXI4-Lite register block: 32-bit registers, one access at a time, byte strobes ignored.
//
//   0x00 ID       read   0x4E4D4631, "NMF1"
//   0x04 BUILD    read   OF [31:24]  BITS [23:16]  ROWS [15:8]  COLS [7:0]
//   0x08 CONTROL  write  bit 0: reset the engine, banks and error included, for as long as it is set
//   0x0C STATUS   read   bit 0: an offset did not ascend  bit 1: sums are under way
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
    logic        write, read, hold_reset, unused_bits;
    logic [31:0] cycles;

    assign write        = awvalid & wvalid & (!bvalid | bready);
    assign read         = arvalid & (!rvalid | rready);
    assign awready      = write;
    assign wready       = write;
    assign arready      = read;
    assign bresp        = 2'b00;
    assign rresp        = 2'b00;
    assign unused_bits  = ^{awaddr[1:0], araddr[1:0], wdata[31:16]};

    always_ff @(posedge clk) engine_rst_n <= rst_n & !hold_reset;
    always_ff @(posedge clk) begin
        if (!rst_n) begin
            bvalid          <= 1'b0;
            rvalid          <= 1'b0;
            hold_reset      <= 1'b1;
            keep            <= KEEPW'(OF);
            groups_per_tile <= 16'd1;
            column_tiles    <= 16'd1;
            row_tiles       <= 16'd1;
            windows         <= 16'd1;
        end else begin
            bvalid <= write | (bvalid & !bready);
            rvalid <= read | (rvalid & !rready);
            if (write) case (awaddr[5:2])
                4'd2: hold_reset      <= wdata[0];
                4'd4: keep            <= wdata[KEEPW-1:0];
                4'd5: groups_per_tile <= wdata[15:0];
                4'd6: column_tiles    <= wdata[15:0];
                4'd7: row_tiles       <= wdata[15:0];
                4'd8: windows         <= wdata[15:0];
                default: ;
            endcase
        end
        if (!engine_rst_n) cycles <= '0;
        else if (busy) cycles <= cycles + 32'd1;
        if (read) case (araddr[5:2])
            4'd0: rdata <= 32'h4E4D4631;
            4'd1: rdata <= {8'(OF), 8'(BITS), 8'(ROWS), 8'(COLS)};
            4'd2: rdata <= 32'(hold_reset);
            4'd3: rdata <= {30'd0, busy, index_error};
            4'd4: rdata <= 32'(keep);
            4'd5: rdata <= 32'(groups_per_tile);
            4'd6: rdata <= 32'(column_tiles);
            4'd7: rdata <= 32'(row_tiles);
            4'd8: rdata <= 32'(windows);
            4'd9: rdata <= cycles;
            default: rdata <= '0;
        endcase
    end
endmodule
