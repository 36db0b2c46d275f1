// One processing element: LANES multipliers, each fed by a window of OF activations.
//
// A window stays in `act_out` for as many steps as it has kept weights; each step brings one kept
// weight a lane, and its offset picks the activation. A pruned weight takes no multiplier and no
// cycle, and the number of kept weights is nothing this module knows: 1:4, 2:4 and dense (4:4) run
// on the same PE. A dense-only PE is OF = 1: no multiplexer is left, every step is a new window.
//
// A weight comes as {digits, negative, offset} from nmforge_recode, and the sums of the PE lack what
// that module calls `missing`; the row edge adds it. An EXACT PE takes {code, offset} instead and
// leaves nothing out, with a larger multiplier: the GEMV engine, where no two PEs share a weight.
//
// Time, for a step that is on the inputs during cycle t:
//   t+1  hop registers hold it (and offer it to the right and lower neighbour)
//   t+2  operand registers: the chosen activation beside its code
//   t+3  product registers
//   t+4  accumulator; after the last step of a group the sum stands in the drain register instead
// Nothing here can be stalled. A bubble is a step whose `valid_in` is low; it changes no state.
module nmforge_pe #(
    parameter  int OF    = 4,
    parameter  int BITS  = 4,
    parameter  int LANES = 1,
    parameter  int GROUP = 64,
    parameter  bit EXACT = 1'b0,
    localparam int SELW  = (OF > 1) ? $clog2(OF) : 1,
    localparam int WORDW = SELW + (EXACT ? BITS : 1 + 2 * ((BITS + 1) / 2)),
    // |code * act| <= 2**(BITS-1) * 127, a group has at most GROUP of them, and `missing` fits besides
    localparam int ACCW  = BITS + 7 + $clog2(GROUP)
) (
    input  logic                   clk,
    input  logic                   rst_n,
    // weights, from the left to the right
    input  logic                   valid_in,
    input  logic                   last_in,     // last step of its group
    input  logic [LANES*WORDW-1:0] word_in,
    output logic                   valid_out,
    output logic                   last_out,
    output logic [LANES*WORDW-1:0] word_out,
    // windows, from the top to the bottom
    input  logic                   load_in,
    input  logic [LANES*OF*8-1:0]  act_in,
    output logic                   load_out,
    output logic [LANES*OF*8-1:0]  act_out,
    // finished group accumulators, from the right to the left
    input  logic                   drain_valid_in,
    input  logic [ACCW-1:0]        drain_in,
    output logic                   drain_valid_out,
    output logic [ACCW-1:0]        drain_out
);
    localparam int PRODW = BITS + 7;  // activations are -127..127: one bit less than the factors have

    logic                    valid_operand, last_operand, valid_product, last_product, capture;
    logic signed [PRODW-1:0] product [LANES];
    logic signed [ACCW-1:0]  accumulator, total;

    always_ff @(posedge clk) begin
        word_out      <= word_in;
        last_out      <= last_in;
        last_operand  <= last_out;
        last_product  <= last_operand;
        valid_out     <= rst_n & valid_in;
        valid_operand <= rst_n & valid_out;
        valid_product <= rst_n & valid_operand;
        load_out      <= load_in;
        if (load_in) act_out <= act_in;
    end

    for (genvar j = 0; j < LANES; j++) begin : lane
        logic [WORDW-1:0]        word;
        logic signed [7:0]       chosen, act;
        logic signed [PRODW-1:0] value;

        assign word = word_out[j*WORDW +: WORDW];
        nmforge_select #(.OF(OF)) mux (
            .window(act_out[j*OF*8 +: OF*8]), .sel(word[SELW-1:0]), .invert(!EXACT & word[SELW]), .out(chosen)
        );
        always_ff @(posedge clk) act <= chosen;

        if (EXACT) begin : exact
            logic signed [BITS-1:0] code;
            always_ff @(posedge clk) code <= word[SELW +: BITS];
            assign value = PRODW'(code) * PRODW'(act);
        end else begin : recoded
            logic [WORDW-SELW-2:0] digits;
            always_ff @(posedge clk) digits <= word[WORDW-1:SELW+1];
            nmforge_product #(.DIGITS((BITS+1)/2), .VALUEW(8), .PRODW(PRODW)) partials (
                .digits, .value(act), .product(value)
            );
        end
        always_ff @(posedge clk) product[j] <= value;
    end

    // Kept as a net of its own: one adder for the lanes and one for the sum are smaller than what
    // synthesis makes of their merger.
    (* keep *) logic signed [ACCW-1:0] of_step;
    always_comb begin
        of_step = '0;
        for (int j = 0; j < LANES; j++) of_step = of_step + ACCW'(product[j]);
    end
    assign total = accumulator + of_step;

    // The drain chain moves every cycle. A capture can never hit a passing value: the chain runs
    // against the weights, so the values of one group pass at most 2*COLS-1 cycles after its first
    // capture, and the next group ends 2*COLS cycles later or more (the rule checked by the generator).
    assign capture = valid_product & last_product;
    always_ff @(posedge clk) begin
        if (!rst_n | capture) accumulator <= '0;
        else if (valid_product) accumulator <= total;
        drain_valid_out <= rst_n & (capture | drain_valid_in);
        drain_out       <= capture ? total : drain_in;
    end
endmodule
