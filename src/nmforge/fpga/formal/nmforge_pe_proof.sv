// The zero-skipping PE against a dense one, for any codes, activations, ascending offsets, bubbles and
// groups: the sum that leaves nmforge_pe plus the one nmforge_missing adds is the dense sum of the group.
//
// The dense side unpacks each window's kept codes to their places, zeros elsewhere, and multiplies all
// OF places, three cycles behind the inputs, where the PE adds its product. Both sides multiply with
// nmforge_times, which nmforge_product_proof shows to be multiplication. Everything is free but what a
// loader guarantees: KEEP steps a window, offsets that ascend, groups that end with a window. Sums are
// compared modulo 2**ACCW; every group's sum fits in ACCW bits.
//
// `sum_ok` and `left_ok` are the theorem. The other outputs, and pe.accumulator = sum_so_far and
// missing_sum.running = left_so_far, are what induction needs to know of states that no run reaches.
module nmforge_pe_proof #(
    parameter  int OF    = 4,
    parameter  int KEEP  = 2,
    parameter  int BITS  = 4,
    parameter  int GROUP = 64,
    localparam int SELW  = (OF > 1) ? $clog2(OF) : 1,
    localparam int WORDW = SELW + 1 + 2 * ((BITS + 1) / 2),
    localparam int ACCW  = BITS + 7 + $clog2(GROUP),
    localparam int COUNTW = $clog2(KEEP + 1)
) (
    input  logic                clk,
    input  logic                offered,
    input  logic signed [BITS-1:0] code,
    input  logic [SELW-1:0]     offset,
    input  logic [OF-1:0][7:0]  window,
    input  logic                group_ends,
    output logic                sum_ok,
    output logic                left_ok,
    output logic                window_ok,
    output logic                places_ok,
    output logic                taken_ok,
    output logic [ACCW-1:0]     sum_so_far,
    output logic [BITS+7:0]     left_so_far
);
    // ---- a legal stream of steps ----
    logic [COUNTW-1:0] taken;      // steps of the window so far
    logic [SELW-1:0]   previous;   // offset of the one before
    logic              valid, first, window_end, last;

    assign first      = taken == '0;
    assign window_end = taken == COUNTW'(KEEP - 1);
    assign valid      = offered & (first | offset > previous) & (32'(offset) <= OF - KEEP + 32'(taken));
    assign last       = window_end & group_ends;
    always_ff @(posedge clk) if (valid) begin
        taken    <= window_end ? '0 : taken + 1'b1;
        previous <= offset;
    end

    // ---- the PE, as the row edge feeds it ----
    logic                          negative, drain_valid;
    logic [2*((BITS+1)/2)-1:0]     digits;
    logic [OF-1:0][7:0]            held;
    logic [ACCW-1:0]               drain;

    nmforge_recode #(.BITS(BITS)) recode (.code, .negative, .digits, .missing());
    nmforge_pe #(.OF(OF), .BITS(BITS), .LANES(1), .GROUP(GROUP)) pe (
        .clk, .rst_n(1'b1), .valid_in(valid), .last_in(last), .word_in({digits, negative, offset}),
        .load_in(valid & first), .act_in(window), .act_out(held),
        .drain_valid_in(1'b0), .drain_in('0), .drain_valid_out(drain_valid), .drain_out(drain),
        .valid_out(), .last_out(), .word_out(), .load_out()
    );

    // ---- the same inputs, three cycles later ----
    logic [2:0]              valid_ago, first_ago, end_ago, last_ago, open_ago;
    logic [2:0][BITS-1:0]    code_ago;
    logic [2:0][SELW-1:0]    offset_ago, previous_ago;
    logic [OF-1:0][7:0]      loaded;
    logic [2:0][OF-1:0][7:0] loaded_ago;   // `loaded` is one cycle behind the inputs itself

    always_ff @(posedge clk) begin
        if (valid & first) loaded <= window;
        valid_ago    <= {valid_ago[1:0], valid};
        first_ago    <= {first_ago[1:0], first};
        end_ago      <= {end_ago[1:0], window_end};
        last_ago     <= {last_ago[1:0], last};
        open_ago     <= {open_ago[1:0], !first};
        code_ago     <= {code_ago[1:0], code};
        offset_ago   <= {offset_ago[1:0], offset};
        previous_ago <= {previous_ago[1:0], previous};
        loaded_ago   <= {loaded_ago[1:0], loaded};
    end

    // ---- what the PE leaves out, as the row edge adds it up ----
    logic [BITS-1:0] missing_then;
    logic [ACCW-1:0] left_out;

    nmforge_recode #(.BITS(BITS)) recode_then (.code(code_ago[1]), .missing(missing_then), .negative(), .digits());
    nmforge_missing #(.BITS(BITS), .LANES(1), .ACCW(ACCW)) missing_sum (
        .clk, .rst_n(1'b1), .valid(valid_ago[1]), .last(last_ago[1]), .missing(missing_then), .total(left_out)
    );

    // ---- the dense side ----
    logic [OF-1:0][BITS-1:0] places, places_now;     // codes of the window at their places
    logic [ACCW-1:0]         windows_before, dense_now, sum_wanted;
    logic [BITS+7:0]         left_before, left_now, left_wanted;
    logic                    sum_due;

    always_comb begin
        places_now = places;
        places_now[offset_ago[2]] = code_ago[2];
    end
    nmforge_dense_dot #(.OF(OF), .BITS(BITS), .ACCW(ACCW)) now (
        .codes(places_now), .acts(loaded_ago[1]), .start(windows_before), .sum(dense_now),
        .left_start(left_before), .left(left_now)
    );
    nmforge_dense_dot #(.OF(OF), .BITS(BITS), .ACCW(ACCW)) so_far (
        .codes(places), .acts(loaded_ago[2]), .start(windows_before), .sum(sum_so_far),
        .left_start(left_before), .left(left_so_far)
    );
    always_ff @(posedge clk) begin
        if (valid_ago[2]) begin
            places         <= end_ago[2] ? '0 : places_now;
            windows_before <= last_ago[2] ? '0 : end_ago[2] ? dense_now : windows_before;
            left_before    <= last_ago[2] ? '0 : end_ago[2] ? left_now : left_before;
        end
        sum_due      <= valid_ago[2] & last_ago[2];
        sum_wanted   <= dense_now;
        left_wanted  <= left_now;
    end

    // ---- what holds ----
    assign sum_ok     = drain_valid == sum_due & (!sum_due | drain == sum_wanted);
    assign left_ok    = !sum_due | left_out == ACCW'(left_wanted);
    assign window_ok  = held == loaded;
    assign taken_ok   = 32'(taken) < KEEP;
    always_comb begin
        places_ok = 1'b1;
        for (int j = 0; j < OF; j++)
            places_ok &= places[j] == '0 | (open_ago[2] & SELW'(j) <= previous_ago[2]);
    end
endmodule

// start + the sum of values, left_start + the sum of what they miss, over all places.
module nmforge_dense_dot #(
    parameter int OF   = 4,
    parameter int BITS = 4,
    parameter int ACCW = 17
) (
    input  logic [OF-1:0][BITS-1:0] codes,
    input  logic [OF-1:0][7:0]      acts,
    input  logic [ACCW-1:0]         start,
    output logic [ACCW-1:0]         sum,
    input  logic [BITS+7:0]         left_start,
    output logic [BITS+7:0]         left
);
    logic [OF:0][ACCW-1:0] running;
    logic [OF:0][BITS+7:0] left_running;

    assign running[0]      = start;
    assign left_running[0] = left_start;
    assign sum             = running[OF];
    assign left            = left_running[OF];
    for (genvar j = 0; j < OF; j++) begin : place
        logic signed [BITS+6:0] value;
        logic [BITS-1:0]        missing;
        nmforge_times #(.BITS(BITS)) times (.code(codes[j]), .act(acts[j]), .value, .missing);
        assign running[j+1]      = running[j] + ACCW'(value);
        assign left_running[j+1] = left_running[j] + (BITS+8)'(missing);
    end
endmodule
