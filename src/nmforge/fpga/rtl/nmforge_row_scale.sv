// Row edge: one multiplier applies `group_mult` to the group sums of a row and adds them up in INT32.
//
// The group sums of the COLS tokens arrive one every second cycle, column 0 first. Their tag
// (multiplier, first or last group of the tile) comes with the group's last window, three cycles
// before the first sum, and is held until the next tag: 2*COLS <= GROUP/OF makes sure that the last
// sum was taken by then, so this unit never stalls the array.
//
// Sums live in two slots of COLS words: one is filled while the other one is read out.
module nmforge_row_scale #(
    parameter  int COLS = 4,
    parameter  int ACCW = 17,
    localparam int COLW = (COLS > 1) ? $clog2(COLS) : 1
) (
    input  logic            clk,
    input  logic            rst_n,
    input  logic            tag_valid,    // with the last window of a group, at the row's left edge
    input  logic            tag_first,
    input  logic            tag_last,
    input  logic [7:0]      tag_mult,
    input  logic            drain_valid,
    input  logic [ACCW-1:0] drain,
    input  logic [COLW:0]   read_address, // {slot, column}
    output logic [31:0]     read_data,
    output logic            tile_done     // the last sum of a tile is written in this cycle
);
    localparam int SCALEW = ACCW + 9;     // the multiplier is unsigned: one more bit makes it signed

    logic [1:0]               valid_delay;
    logic [1:0][9:0]          tag_delay;
    logic [9:0]               tag;
    logic                     slot, first, last;
    logic [COLW-1:0]          column;
    logic                     scaled_valid, scaled_first, scaled_last;
    logic [COLW:0]            scaled_address;
    logic signed [SCALEW-1:0] scaled;
    logic [31:0]              base;
    logic [31:0]              sums [2**(COLW+1)];

    // Same latency as the PE pipeline of column 0; the tag then stays until the next one.
    always_ff @(posedge clk) begin
        valid_delay <= rst_n ? {valid_delay[0], tag_valid} : 2'b0;
        tag_delay   <= {tag_delay[0], {tag_first, tag_last, tag_mult}};
    end
    always_ff @(posedge clk) if (valid_delay[1]) tag <= tag_delay[1];
    assign first = tag[9];
    assign last  = tag[8];

    always_ff @(posedge clk) begin
        scaled         <= SCALEW'(signed'(drain)) * SCALEW'(signed'({1'b0, tag[7:0]}));
        scaled_address <= {slot, column};
        scaled_first   <= first;
        scaled_last    <= last & (column == COLW'(COLS - 1));
        scaled_valid   <= rst_n & drain_valid;
        if (!rst_n) begin
            column <= '0;
            slot   <= 1'b0;
        end else if (drain_valid) begin
            column <= (column == COLW'(COLS - 1)) ? '0 : column + 1'b1;
            slot   <= slot ^ (last & (column == COLW'(COLS - 1)));
        end
    end

    assign base = scaled_first ? '0 : sums[scaled_address];
    always_ff @(posedge clk) if (scaled_valid) sums[scaled_address] <= base + 32'(scaled);
    assign read_data = sums[read_address];
    assign tile_done = scaled_valid & scaled_last;
endmodule
