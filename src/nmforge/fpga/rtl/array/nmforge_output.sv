// Sends the sums of a finished tile: COLS beats, the oldest sum of every row in each.
module nmforge_output #(
    parameter  int COLS = 4,
    localparam int COLW = (COLS > 1) ? $clog2(COLS) : 1
) (
    input  logic clk,
    input  logic rst_n,
    input  logic tile_done,
    output logic shift,      // to every row: the beat was taken
    output logic tile_sent,
    output logic tvalid,
    output logic tlast,
    input  logic tready
);
    logic [COLW-1:0] column;

    assign tlast     = column == COLW'(COLS - 1);
    assign shift     = tvalid & tready;
    assign tile_sent = shift & tlast;

    always_ff @(posedge clk) begin
        if (!rst_n) begin
            tvalid <= 1'b0;
            column <= '0;
        end else begin
            tvalid <= (tvalid & !tile_sent) | tile_done;
            if (shift) column <= tlast ? '0 : column + 1'b1;
        end
    end
endmodule
