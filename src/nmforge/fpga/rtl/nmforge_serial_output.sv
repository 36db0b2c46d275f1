// Sends the sums of a finished tile one by one: column after column, row after row.
//
// The sums of a column are moved into a register of its own, whose rows then shift out.
module nmforge_serial_output #(
    parameter  int ROWS = 8,
    parameter  int COLS = 8,
    localparam int ROWW = (ROWS > 1) ? $clog2(ROWS) : 1
) (
    input  logic                  clk,
    input  logic                  rst_n,
    input  logic                  tile_done,
    input  logic [ROWS-1:0][31:0] oldest,
    output logic                  shift,
    output logic                  tile_sent,
    output logic [31:0]           tdata,
    output logic                  tvalid,
    output logic                  tlast,
    input  logic                  tready
);
    logic                  column_ready, last_column, column_taken, sending_last, row_end;
    logic [ROWW-1:0]       row;
    logic [ROWS-1:0][31:0] held;

    nmforge_output #(.COLS(COLS)) columns (
        .clk, .rst_n, .tile_done, .shift, .tile_sent(column_taken),
        .tvalid(column_ready), .tlast(last_column), .tready(!tvalid)
    );
    assign row_end   = row == ROWW'(ROWS - 1);
    assign tdata     = held[0];
    assign tlast     = row_end & sending_last;
    assign tile_sent = column_taken;   // the sums left the rows, which is all that the sequencer waits for

    // A column is taken only while nothing is being sent: what `held` takes then depends on a register.
    always_ff @(posedge clk) begin
        if (!rst_n) begin
            tvalid <= 1'b0;
            row    <= '0;
        end else begin
            tvalid <= tvalid ? !(tready & row_end) : column_ready;
            if (tvalid & tready) row <= row_end ? '0 : row + 1'b1;
        end
        if (!tvalid) sending_last <= last_column;
        if (tready | !tvalid) held <= tvalid ? {32'd0, held[ROWS-1:1]} : oldest;
    end
endmodule
