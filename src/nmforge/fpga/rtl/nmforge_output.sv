// Sends finished tiles: COLS beats a tile, beat c holds the INT32 sums of all rows for token c.
module nmforge_output #(
    parameter  int COLS = 4,
    localparam int COLW = (COLS > 1) ? $clog2(COLS) : 1
) (
    input  logic          clk,
    input  logic          rst_n,
    input  logic          tile_done,
    output logic [COLW:0] read_address,   // {slot, column}, to every row
    output logic          slot_released,
    output logic          tvalid,
    output logic          tlast,
    input  logic          tready
);
    logic [1:0]      waiting;             // finished tiles not yet sent: at most the two slots
    logic            slot;
    logic [COLW-1:0] column;

    assign read_address  = {slot, column};
    assign tvalid        = waiting != 2'd0;
    assign tlast         = column == COLW'(COLS - 1);
    assign slot_released = tvalid & tready & tlast;

    always_ff @(posedge clk) begin
        if (!rst_n) begin
            waiting <= '0;
            slot    <= 1'b0;
            column  <= '0;
        end else begin
            if (tvalid & tready) column <= tlast ? '0 : column + 1'b1;
            slot    <= slot ^ slot_released;
            waiting <= waiting + {1'b0, tile_done} - {1'b0, slot_released};
        end
    end
endmodule
