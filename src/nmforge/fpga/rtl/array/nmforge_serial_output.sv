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
    logic                  column_ready, last_column, taking, sending_last, row_end, unused_shift;
    logic [ROWW-1:0]       row;
    logic [ROWS-1:0][31:0] held;

    nmforge_output #(.COLS(COLS)) columns (
        .clk, .rst_n, .tile_done, .shift(unused_shift), .tile_sent,
        .tvalid(column_ready), .tlast(last_column), .tready(taking)
    );
    assign row_end = row == ROWW'(ROWS - 1);
    assign tdata   = held[0];
    assign tlast   = row_end & sending_last;
    assign shift   = taking;

    // A column is taken one cycle after it was found ready, only while nothing is being sent: `shift`
    // goes to every row and has to come straight from a register.
    always_ff @(posedge clk) begin
        taking <= rst_n & column_ready & !tvalid & !taking;
        if (!rst_n) begin
            tvalid <= 1'b0;
            row    <= '0;
        end else begin
            tvalid <= tvalid ? !(tready & row_end) : taking;
            if (tvalid & tready) row <= row_end ? '0 : row + 1'b1;
        end
        if (taking) sending_last <= last_column;
        // The last row stays behind: what follows it out is never sent.
        if (taking | tready) held <= taking ? oldest : {held[ROWS-1], held[ROWS-1:1]};
    end
endmodule
