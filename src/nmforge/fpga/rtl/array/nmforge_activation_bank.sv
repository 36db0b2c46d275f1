// Windows in block RAM: written once, read again for every pass.
//
// A pass reads all `windows` in order: one token for the GEMV engine, all column tiles one after the
// other for the GEMM engine. Reading starts as soon as the first window is written. `take` moves on
// to the next window, whose data stands in `window` two cycles later; `pass_end` goes back to the
// first one. After `passes` of them the bank is empty again and accepts the next windows.
// `second_ready` says that the window behind the one of `window_ready` is there too, for an engine
// whose `take` is on its way.
module nmforge_activation_bank #(
    parameter  int WORD   = 32,
    parameter  int SLICES = 1,          // words of a window
    parameter  int DEPTH  = 4096,
    localparam int ADDRW  = $clog2(DEPTH),
    localparam int SLICEW = (SLICES > 1) ? $clog2(SLICES) : 1
) (
    input  logic                   clk,
    input  logic                   rst_n,
    input  logic [ADDRW:0]         windows,
    input  logic [15:0]            passes,
    input  logic [WORD-1:0]        tdata,
    input  logic                   tvalid,
    output logic                   tready,
    output logic                   window_ready,
    output logic                   second_ready,
    input  logic                   take,
    input  logic                   pass_end,
    output logic [SLICES*WORD-1:0] window
);
    // One bit wider than an address: `written` may be DEPTH. And the two windows behind `read`, made before.
    logic [ADDRW:0]    written, written_after, read, read_after, read_second;
    logic [SLICEW-1:0] slice;
    logic              last_pass, all_passed, write, row_end;

    assign write      = tvalid & tready;
    assign row_end    = slice == SLICEW'(SLICES - 1);
    assign all_passed = pass_end & last_pass;

    nmforge_counter #(.WIDTH(16)) pass_counter (.clk, .rst_n, .total(passes), .count(pass_end), .last(last_pass));
    nmforge_sliced_ram #(.WORD(WORD), .SLICES(SLICES), .DEPTH(DEPTH)) ram (
        .clk, .write, .write_row(written[ADDRW-1:0]), .write_slice(slice), .write_word(tdata),
        .read_row(read[ADDRW-1:0]), .row(window)
    );
    // All flags are registers; a window is ready one cycle after it was written.
    always_ff @(posedge clk) begin
        if (!rst_n) begin
            written       <= '0;
            written_after <= (ADDRW+1)'(1);
            slice        <= '0;
            read         <= '0;
            read_after   <= (ADDRW+1)'(1);
            read_second  <= (ADDRW+1)'(2);
            window_ready <= 1'b0;
            second_ready <= 1'b0;
            tready       <= 1'b0;
        end else begin
            if (write) slice <= row_end ? '0 : slice + 1'b1;
            if (all_passed) begin
                written       <= '0;
                written_after <= (ADDRW+1)'(1);
            end else if (write & row_end) begin
                written       <= written_after;
                written_after <= written_after + 1'b1;
            end
            if (pass_end) begin
                read        <= '0;
                read_after  <= (ADDRW+1)'(1);
                read_second <= (ADDRW+1)'(2);
            end else if (take) begin
                read        <= read_after;
                read_after  <= read_second;
                read_second <= read_second + 1'b1;
            end
            window_ready <= !all_passed & (pass_end | (take ? read_after < written : read < written));
            second_ready <= !all_passed & !pass_end & (take ? read_second < written : read_after < written);
            tready       <= !all_passed & ((write & row_end) ? written_after < windows : written < windows);
        end
    end
endmodule
