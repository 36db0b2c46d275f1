// Takes the weight image from one stream and says where each word of it belongs.
//
// The image of a row tile is block after block of 512 inputs; a block is its code plane, its index
// plane (none where every place is kept) and its scale plane. A plane is rows of words; rows are
// numbered through the tile. `pause` comes with the last word of a group of codes or offsets and of a
// scale plane: no word may be taken in the cycle after it. In that cycle, in which nothing depends on
// the stream's handshake, the loader finds out what has ended with the group. `tile_end` is high in it
// where that is the tile.
module nmforge_weight_loader #(
    parameter  int CODE_WORDS   = 2,   // words of one row of each plane
    parameter  int INDEX_WORDS  = 1,
    parameter  int MULT_WORDS   = 4,
    parameter  int BLOCK_GROUPS = 8,
    parameter  int ROWW         = 11,
    localparam int WIDER        = (CODE_WORDS > MULT_WORDS) ? CODE_WORDS : MULT_WORDS,
    localparam int MOST         = (INDEX_WORDS > WIDER) ? INDEX_WORDS : WIDER,
    localparam int SLICEW       = (MOST > 1) ? $clog2(MOST) : 1,
    localparam int BLOCKW       = $clog2(BLOCK_GROUPS + 1)
) (
    input  logic              clk,
    input  logic              rst_n,
    input  logic              every_place,
    input  logic [15:0]       groups_per_tile,
    input  logic [ROWW:0]     steps_per_group,
    input  logic              write,        // a word of the stream is taken in this cycle
    output logic [2:0]        plane,        // one-hot: code, index, scale
    output logic [ROWW-1:0]   row,
    output logic [SLICEW-1:0] slice,
    output logic              pause,
    output logic              tile_end
);
    logic [SLICEW-1:0] last_slice;
    logic [ROWW-1:0]   code_row, index_row, group_row;
    logic [BLOCKW-1:0] group, last_in_block;
    logic [15:0]       left;               // groups of the tile in this block and after it
    logic              slice_end, row_end, last_step, ended, next_scale, group_last, plane_end, block_end, last_block;

    assign row       = plane[0] ? code_row : plane[1] ? index_row : group_row;
    assign row_end   = write & slice_end;
    assign pause     = row_end & (plane[2] ? group_last : last_step);
    assign plane_end = ended & group_last;
    assign block_end = plane_end & plane[2];
    assign tile_end  = block_end & last_block;
    assign next_scale = row_end & plane[2] & !group_last;
    always_ff @(posedge clk) ended <= rst_n & pause;

    nmforge_counter #(.WIDTH(ROWW+1)) steps (
        .clk, .rst_n, .total(steps_per_group), .count(row_end & !plane[2]), .last(last_step)
    );
    // What follows from `left` lags two cycles behind it; a block's first group of steps ends later.
    always_ff @(posedge clk) begin
        last_block    <= left <= 16'(BLOCK_GROUPS);
        last_in_block <= (left <= 16'(BLOCK_GROUPS)) ? BLOCKW'(left - 16'd1) : BLOCKW'(BLOCK_GROUPS - 1);
    end

    // `slice_end` and `group_last` are registers that match `slice` and `group`: the stream's handshake,
    // which comes late in the cycle, only chooses between comparisons made before.
    localparam bit [2:0] ONE_WORD = {MULT_WORDS == 1, INDEX_WORDS == 1, CODE_WORDS == 1};
    logic [2:0] next_plane;

    assign next_plane = plane[0] ? {every_place, !every_place, 1'b0} : {plane[1], 1'b0, plane[2]};
    assign last_slice = plane[0] ? SLICEW'(CODE_WORDS - 1) : plane[1] ? SLICEW'(INDEX_WORDS - 1) : SLICEW'(MULT_WORDS - 1);
    always_ff @(posedge clk) begin
        if (!rst_n) slice_end <= ONE_WORD[0];
        else if (plane_end) slice_end <= |(next_plane & ONE_WORD);
        else if (row_end) slice_end <= |(plane & ONE_WORD);
        else if (write) slice_end <= slice + 1'b1 == last_slice;
        if (plane_end) group_last <= last_in_block == '0;
        else if (ended | next_scale) group_last <= group + 1'b1 == last_in_block;
        else group_last <= group == last_in_block;
    end

    always_ff @(posedge clk) begin
        if (!rst_n) begin
            plane     <= 3'b001;
            slice     <= '0;
            group     <= '0;
            left      <= groups_per_tile;
            code_row  <= '0;
            index_row <= '0;
            group_row <= '0;
        end else begin
            if (write) slice <= row_end ? '0 : slice + 1'b1;
            if (plane_end) group <= '0;
            else if (ended | next_scale) group <= group + 1'b1;
            if (plane_end) plane <= next_plane;
            if (block_end) left <= last_block ? groups_per_tile : left - 16'(BLOCK_GROUPS);
            if (tile_end) begin
                code_row  <= '0;
                index_row <= '0;
                group_row <= '0;
            end else if (row_end) begin
                code_row  <= code_row + ROWW'(plane[0]);
                index_row <= index_row + ROWW'(plane[1]);
                group_row <= group_row + ROWW'(plane[2]);
            end
        end
    end
endmodule
