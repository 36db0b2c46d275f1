// Two row tiles of weights in block RAM: one is multiplied, for every column tile again, while the
// next one is loaded.
//
// `take` moves on to the next step and `take_mult` to the next group; their data stands on the
// outputs two cycles later. `tile_end` goes back to the first step; after `column_tiles` of them the
// buffer is free again.
module nmforge_weight_bank #(
    parameter  int WORD         = 16,
    parameter  int CODE_WORDS   = 2,
    parameter  int INDEX_WORDS  = 1,
    parameter  int MULT_WORDS   = 4,
    parameter  int BLOCK_GROUPS = 8,
    parameter  int STEPS        = 2048,  // most steps of a tile
    parameter  int GROUPS       = 128,   // most groups of a tile
    localparam int ROWW         = $clog2(STEPS),
    localparam int GROUPW       = $clog2(GROUPS)
) (
    input  logic                        clk,
    input  logic                        rst_n,
    input  logic                        every_place,
    input  logic [15:0]                 groups_per_tile,
    input  logic [ROWW:0]               steps_per_group,
    input  logic [15:0]                 column_tiles,
    input  logic [WORD-1:0]             tdata,
    input  logic                        tvalid,
    output logic                        tready,
    output logic                        tile_ready,
    input  logic                        take,
    input  logic                        take_mult,
    input  logic                        tile_end,
    output logic                        buffer_end,   // this tile_end frees the buffer
    output logic [CODE_WORDS*WORD-1:0]  code,
    output logic [INDEX_WORDS*WORD-1:0] index,
    output logic [MULT_WORDS*WORD-1:0]  mult
);
    localparam int WIDER  = (CODE_WORDS > MULT_WORDS) ? CODE_WORDS : MULT_WORDS;
    localparam int MOST   = (INDEX_WORDS > WIDER) ? INDEX_WORDS : WIDER;
    localparam int SLICEW = (MOST > 1) ? $clog2(MOST) : 1;
    localparam int CODEW  = (CODE_WORDS > 1) ? $clog2(CODE_WORDS) : 1;
    localparam int INDEXW = (INDEX_WORDS > 1) ? $clog2(INDEX_WORDS) : 1;
    localparam int MULTW  = (MULT_WORDS > 1) ? $clog2(MULT_WORDS) : 1;

    // ---- write side ----
    logic [2:0]        plane;
    logic [ROWW-1:0]   write_row;
    logic [SLICEW-1:0] slice;
    logic              write, pause, loaded, write_buffer, read_buffer;
    logic [1:0]        filled, filled_next;   // buffers with a complete tile

    assign filled_next = filled + {1'b0, loaded} - {1'b0, buffer_end};
    assign write       = tvalid & tready;

    nmforge_weight_loader #(
        .CODE_WORDS(CODE_WORDS), .INDEX_WORDS(INDEX_WORDS), .MULT_WORDS(MULT_WORDS),
        .BLOCK_GROUPS(BLOCK_GROUPS), .ROWW(ROWW)
    ) loader (
        .clk, .rst_n, .every_place, .groups_per_tile, .steps_per_group,
        .write, .plane, .row(write_row), .slice, .pause, .tile_end(loaded)
    );

    // ---- read side ----
    logic [ROWW-1:0]   step;
    logic [GROUPW-1:0] group;
    logic              last_column;   // the tile_end to come frees the buffer

    nmforge_counter #(.WIDTH(16)) columns (.clk, .rst_n, .total(column_tiles), .count(tile_end), .last(last_column));
    assign buffer_end = tile_end & last_column;
    always_ff @(posedge clk) begin
        if (!rst_n) begin
            filled       <= '0;
            tready       <= 1'b0;
            tile_ready   <= 1'b0;
            write_buffer <= 1'b0;
            read_buffer  <= 1'b0;
            step         <= '0;
            group        <= '0;
        end else begin
            filled       <= filled_next;
            tready       <= !pause & !filled_next[1];
            tile_ready   <= filled_next != 2'd0;
            write_buffer <= write_buffer ^ loaded;
            read_buffer  <= read_buffer ^ buffer_end;
            if (take) step <= tile_end ? '0 : step + 1'b1;
            if (take_mult) group <= tile_end ? '0 : group + 1'b1;
        end
    end

    nmforge_sliced_ram #(.WORD(WORD), .SLICES(CODE_WORDS), .DEPTH(2*STEPS)) codes (
        .clk, .write(write & plane[0]), .write_row({write_buffer, write_row}), .write_slice(slice[CODEW-1:0]),
        .write_word(tdata), .read_row({read_buffer, step}), .row(code)
    );
    nmforge_sliced_ram #(.WORD(WORD), .SLICES(INDEX_WORDS), .DEPTH(2*STEPS)) offsets (
        .clk, .write(write & plane[1]), .write_row({write_buffer, write_row}), .write_slice(slice[INDEXW-1:0]),
        .write_word(tdata), .read_row({read_buffer, step}), .row(index)
    );
    nmforge_sliced_ram #(.WORD(WORD), .SLICES(MULT_WORDS), .DEPTH(2*GROUPS)) multipliers (
        .clk, .write(write & plane[2]), .write_row({write_buffer, write_row[GROUPW-1:0]}),
        .write_slice(slice[MULTW-1:0]), .write_word(tdata), .read_row({read_buffer, group}), .row(mult)
    );
endmodule
