// Row edge: one multiplier applies `group_mult` to the group sums of a row and adds them up in INT32.
//
// The group sums of the COLS outputs arrive one every second cycle, output 0 first. Their tag (last
// group of the tile or not, and the multipliers: one for all outputs, or one for each) comes with the
// group's last step, four cycles before the first sum, and is held until the next tag. Groups end at
// least 2*COLS cycles apart, so the last sum was taken by then: nothing here stalls the array.
//
// Two cycles a sum make a half-sized multiplier enough: the low two radix-4 digits of the group
// multiplier in the first one, the high two in the second.
//
// Sums are visited in a fixed order, so they live in a ring of COLS registers instead of a memory:
// each new sum is added to the oldest entry and becomes the youngest. The sums of a tile's last
// group leave the ring, zeros taking their place, for `finished`, from where the output sends them
// while the next tile runs.
module nmforge_row_scale #(
    parameter  int COLS  = 4,
    parameter  int ACCW  = 17,
    parameter  int MULTS = 1,             // 1, or COLS: every output has its own multiplier
    localparam int COLW  = (COLS > 1) ? $clog2(COLS) : 1
) (
    input  logic               clk,
    input  logic               rst_n,
    input  logic               tag_valid, // with the last step of a group, at the row's left edge
    input  logic               tag_last,
    input  logic [MULTS*8-1:0] tag_mult,
    input  logic [ACCW-1:0]    missing,   // of the group, two cycles after its tag
    input  logic               drain_valid,
    input  logic [ACCW-1:0]    drain,
    input  logic               shift,     // the output took the oldest finished sum
    output logic [31:0]        oldest,
    output logic               tile_done  // the last sum of a tile stands in `finished` from the next cycle on
);
    localparam int PAIRW = ACCW + 4;      // two digits of the multiplier times a sum
    localparam int TAGW  = MULTS * 8 + 1;

    // ---- the tag waits as long as the PE pipeline of column 0 takes, then stays ----
    logic [2:0]           valid_delay;
    logic [2:0][TAGW-1:0] tag_delay;
    logic                 last;
    logic [MULTS*8-1:0]   mult;
    logic [ACCW-1:0]      missing_delay, correction;

    always_ff @(posedge clk) begin
        valid_delay   <= rst_n ? {valid_delay[1:0], tag_valid} : 3'b0;
        tag_delay     <= {tag_delay[1:0], {tag_last, tag_mult}};
        missing_delay <= missing;
        if (valid_delay[2]) {last, mult, correction} <= {tag_delay[2], missing_delay};
        else if (MULTS > 1 && drain_valid) mult <= mult >> 8;
    end

    // ---- whole group sum times multiplier: valid[0] low digits, valid[1] high digits ----
    logic [3:0]              valid, last_sum, last_column;
    logic [COLW-1:0]         column;
    logic signed [ACCW-1:0]  whole;
    logic [7:0]              new_digits, digits, new_ones, ones;
    logic signed [PAIRW-1:0] new_pair, pair;
    logic signed [PAIRW:0]   scaled_high;
    logic [3:0]              scaled_low;
    logic                    unused_sign;

    nmforge_recode #(.BITS(8)) recode (
        .code({1'b0, mult[6:0]}), .negative(unused_sign), .digits(new_digits), .missing(new_ones)
    );
    nmforge_product #(.DIGITS(2), .VALUEW(ACCW), .PRODW(PAIRW)) multiplier (
        .digits(digits[3:0]), .value(whole), .product(new_pair)
    );
    always_ff @(posedge clk) begin
        digits <= drain_valid ? new_digits : digits >> 4;
        if (drain_valid) begin
            whole <= drain + correction;
            ones  <= new_ones;
        end
        pair        <= new_pair;
        scaled_high <= (PAIRW+1)'(pair) + (valid[1] ? (PAIRW+1)'({1'b0, ones}) : (PAIRW+1)'(scaled_high >>> 4));
        scaled_low  <= scaled_high[3:0];
        valid       <= rst_n ? {valid[2:0], drain_valid} : 4'b0;
        last_sum    <= {last_sum[2:0], last};
        last_column <= {last_column[2:0], column == COLW'(COLS - 1)};
        if (!rst_n) column <= '0;
        else if (drain_valid) column <= (column == COLW'(COLS - 1)) ? '0 : column + 1'b1;
    end

    // ---- INT32 sums ----
    logic [31:0]           total;
    logic [COLS-1:0][31:0] ring, finished;

    assign total     = ring[0] + 32'(signed'({scaled_high, scaled_low}));
    assign oldest    = finished[0];
    assign tile_done = valid[3] & last_sum[3] & last_column[3];

    always_ff @(posedge clk) begin
        if (!rst_n) ring <= '0;
        else if (valid[3]) ring <= (COLS*32)'({last_sum[3] ? 32'd0 : total, ring} >> 32);
        if ((valid[3] & last_sum[3]) | shift) finished <= (COLS*32)'({total, finished} >> 32);
    end
endmodule
