// The zero-skipping PE against a sum kept beside it, for any codes, activations, ascending offsets, bubbles,
// groups, resets and values that pass on the drain chain: what leaves nmforge_pe, and what leaves
// nmforge_missing, is the sum over the steps of the group and the lanes of the parts of code * window[offset].
//
// A step is added here as it enters the product, three cycles behind the inputs, by nmforge_times, which
// nmforge_product_proof shows to be multiplication (an EXACT PE multiplies by itself); nmforge_step_proof
// shows that adding it is what turns the dense sum of a window without this code into that with it.
// Everything is free but what a loader and the array guarantee: KEEP steps a window, offsets that ascend,
// groups that end with a window, no value that passes where one is captured. Sums are compared modulo
// 2**ACCW; every group's sum fits in ACCW bits.
//
// `sum_ok`, `left_ok` and `free_ok` are the theorem. The other outputs, and pe.accumulator = sum_so_far and
// missing_sum.running = left_so_far, are what induction needs to know of states that no run reaches.
module nmforge_pe_proof #(
    parameter  int OF    = 4,
    parameter  int KEEP  = 2,
    parameter  int BITS  = 4,
    parameter  int LANES = 1,
    parameter  bit EXACT = 1'b0,
    parameter  int GROUP = 64,
    localparam int SELW  = (OF > 1) ? $clog2(OF) : 1,
    localparam int DIGITW = 2 * ((BITS + 1) / 2),
    localparam int WORDW = SELW + (EXACT ? BITS : 1 + DIGITW),
    localparam int ACCW  = BITS + 7 + $clog2(GROUP),
    localparam int COUNTW = $clog2(KEEP + 1)
) (
    input  logic                           clk,
    input  logic                           rst_n,
    input  logic                           offered,
    input  logic [LANES-1:0][BITS-1:0]     code,
    input  logic [LANES-1:0][SELW-1:0]     offset,
    input  logic [LANES-1:0][OF-1:0][7:0]  window,
    input  logic                           group_ends,
    input  logic                           passing_offered,
    input  logic [ACCW-1:0]                passing,
    output logic                           sum_ok,
    output logic                           left_ok,
    output logic                           free_ok,
    output logic                           window_ok,
    output logic                           filled_ok,
    output logic                           taken_ok,
    output logic [LANES-1:0][7:0]          act_wanted,
    output logic [ACCW-1:0]                step_wanted,
    output logic [ACCW-1:0]                sum_so_far,
    output logic [BITS+7:0]                left_so_far
);
    // ---- a legal stream of steps ----
    logic [COUNTW-1:0]          taken;      // steps of the window so far
    logic [LANES-1:0][SELW-1:0] previous;   // offsets of the one before
    logic [LANES-1:0]           legal;
    logic                       valid, first, window_end, last;

    assign first      = taken == '0;
    assign window_end = taken == COUNTW'(KEEP - 1);
    assign valid      = rst_n & offered & (&legal);
    assign last       = window_end & group_ends;
    for (genvar j = 0; j < LANES; j++) begin : legal_lane
        assign legal[j] = (first | offset[j] > previous[j]) & (32'(offset[j]) <= OF - KEEP + 32'(taken));
    end
    always_ff @(posedge clk)
        if (!rst_n) taken <= '0;
        else if (valid) begin
            taken    <= window_end ? '0 : taken + 1'b1;
            previous <= offset;
        end

    // ---- the PE, as the row edge feeds it ----
    logic                         drain_valid, pass, capture;
    logic [LANES-1:0][WORDW-1:0]  word;
    logic [LANES-1:0][OF-1:0][7:0] held;
    logic [ACCW-1:0]              drain;

    assign pass = passing_offered & !capture;
    for (genvar j = 0; j < LANES; j++) begin : word_lane
        logic              negative;
        logic [DIGITW-1:0] digits;
        nmforge_recode #(.BITS(BITS)) recode (.code(code[j]), .negative, .digits, .missing());
        if (EXACT) begin : exact
            logic unused_recoded;
            assign unused_recoded = ^{negative, digits};
            assign word[j] = {code[j], offset[j]};
        end else begin : recoded
            assign word[j] = {digits, negative, offset[j]};
        end
    end
    nmforge_pe #(.OF(OF), .BITS(BITS), .LANES(LANES), .GROUP(GROUP), .EXACT(EXACT)) pe (
        .clk, .rst_n, .valid_in(valid), .last_in(last), .word_in(word),
        .load_in(valid & first), .act_in(window), .act_out(held),
        .drain_valid_in(pass), .drain_in(passing), .drain_valid_out(drain_valid), .drain_out(drain),
        .valid_out(), .last_out(), .word_out(), .load_out()
    );

    // ---- the same inputs, three cycles later ----
    logic [2:0]                         valid_ago, end_ago, last_ago;
    logic [2:0][LANES-1:0][BITS-1:0]    code_ago;
    logic [2:0][LANES-1:0][SELW-1:0]    offset_ago;
    logic [LANES-1:0][OF-1:0][7:0]      loaded;
    logic [1:0][LANES-1:0][OF-1:0][7:0] loaded_ago;   // `loaded` is one cycle behind the inputs itself

    assign capture = valid_ago[2] & last_ago[2];
    always_ff @(posedge clk) begin
        if (valid & first) loaded <= window;
        valid_ago    <= rst_n ? {valid_ago[1:0], valid} : '0;
        end_ago      <= {end_ago[1:0], window_end};
        last_ago     <= {last_ago[1:0], last};
        code_ago     <= {code_ago[1:0], code};
        offset_ago   <= {offset_ago[1:0], offset};
        loaded_ago   <= {loaded_ago[0], loaded};
    end

    // ---- what the PE leaves out, as the row edge adds it up ----
    logic [LANES-1:0][BITS-1:0] missing_then;
    logic [ACCW-1:0]            left_out;

    for (genvar j = 0; j < LANES; j++) begin : missing_lane
        nmforge_recode #(.BITS(BITS)) recode (
            .code(code_ago[1][j]), .missing(missing_then[j]), .negative(), .digits()
        );
    end
    nmforge_missing #(.BITS(BITS), .LANES(LANES), .ACCW(ACCW)) missing_sum (
        .clk, .rst_n, .valid(valid_ago[1]), .last(last_ago[1]), .missing(missing_then), .total(left_out)
    );

    // ---- the sums kept beside it, and which places of a window hold a code ----
    logic [LANES:0][ACCW-1:0]   values;      // running over the lanes
    logic [LANES:0][BITS+7:0]   missing;
    logic [ACCW-1:0]            sum_now, sum_wanted;
    logic [BITS+7:0]            left_now, left_wanted;
    logic [LANES-1:0][OF-1:0]   filled;
    logic                       sum_due, passed;

    assign values[0]  = '0;
    assign missing[0] = '0;
    for (genvar j = 0; j < LANES; j++) begin : value_lane
        logic signed [BITS+6:0] value;
        logic signed [7:0]      act;
        logic [BITS-1:0]        ones;
        assign act = loaded_ago[1][j][offset_ago[2][j]];
        if (EXACT) begin : exact
            assign value = (BITS+7)'(signed'(code_ago[2][j])) * (BITS+7)'(act);
            assign ones  = '0;
        end else begin : recoded
            nmforge_times #(.BITS(BITS)) times (.code(code_ago[2][j]), .act, .value, .missing(ones));
        end
        // one cycle before, in the operand register; codes that are negative take it inverted
        assign act_wanted[j]     = loaded_ago[0][j][offset_ago[1][j]] ^ {8{!EXACT & code_ago[1][j][BITS-1]}};
        assign values[j+1]  = values[j] + ACCW'(value);
        assign missing[j+1] = missing[j] + (BITS+8)'(ones);
    end
    assign step_wanted = values[LANES];
    assign sum_now  = sum_so_far + step_wanted;
    assign left_now = left_so_far + missing[LANES];
    always_ff @(posedge clk) begin
        if (!rst_n) begin
            filled      <= '0;
            sum_so_far  <= '0;
            left_so_far <= '0;
        end else if (valid_ago[2]) begin
            for (int j = 0; j < LANES; j++) filled[j] <= end_ago[2] ? '0 : filled[j] | OF'(1) << offset_ago[2][j];
            sum_so_far  <= last_ago[2] ? '0 : sum_now;
            left_so_far <= last_ago[2] ? '0 : left_now;
        end
        sum_due     <= rst_n & capture;
        passed      <= rst_n & pass;
        sum_wanted  <= pass ? passing : sum_now;
        left_wanted <= left_now;
    end

    // ---- what holds ----
    // filled_next: filled places once the steps under way are added. Its highest is that of the step before.
    logic [OF-1:0] filled_next;

    assign sum_ok    = drain_valid == (sum_due | passed) & (!drain_valid | drain == sum_wanted);
    assign left_ok   = EXACT | !sum_due | left_out == ACCW'(left_wanted);
    assign window_ok = held == loaded;
    assign taken_ok  = 32'(taken) < KEEP;
    always_comb begin
        free_ok   = 1'b1;
        filled_ok = 1'b1;
        for (int j = 0; j < LANES; j++) begin
            free_ok &= !valid_ago[2] | (filled[j] & ({OF{1'b1}} << offset_ago[2][j])) == '0;
            filled_next = filled[j];
            for (int i = 2; i >= 0; i--)
                if (valid_ago[i]) filled_next = end_ago[i] ? '0 : filled_next | OF'(1) << offset_ago[i][j];
            filled_ok &= first ? filled_next == '0 : (filled_next >> previous[j]) == OF'(1);
        end
    end
endmodule
