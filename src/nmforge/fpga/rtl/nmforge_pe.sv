// One processing element: KEEP weights of one window against the OF activations of that window.
//
// A pruned weight takes no multiplier and no cycle: the PE owns KEEP multipliers, and each of them
// picks its activation. Offsets inside a window ascend, so weight j can only sit at j .. j+OF-KEEP:
// its multiplexer needs OF-KEEP+1 inputs, not OF, and a dense PE (KEEP == OF) has none at all.
// `sel_in` carries that reduced offset (offset - j); nmforge_index_check makes it once per row.
//
// Time, for a window whose weights and activations are on the inputs during cycle t:
//   t+1  hop registers hold it (and offer it to the right and lower neighbour)
//   t+2  product registers
//   t+3  accumulator; after the last window of a group the sum stands in the drain register instead
// Nothing here can be stalled. A bubble is a window whose `valid_in` is low; it changes no state.
module nmforge_pe #(
    parameter  int KEEP  = 2,
    parameter  int OF    = 4,
    parameter  int BITS  = 4,
    parameter  int GROUP = 64,
    localparam int SELW  = (OF > KEEP) ? $clog2(OF - KEEP + 1) : 1,
    localparam int ACCW  = BITS + 8 + $clog2(GROUP / OF * KEEP)
) (
    input  logic                 clk,
    input  logic                 rst_n,
    // weights, from the left to the right
    input  logic                 valid_in,
    input  logic                 last_in,     // last window of its group
    input  logic [KEEP*BITS-1:0] code_in,
    input  logic [KEEP*SELW-1:0] sel_in,
    output logic                 valid_out,
    output logic                 last_out,
    output logic [KEEP*BITS-1:0] code_out,
    output logic [KEEP*SELW-1:0] sel_out,
    // activations, from the top to the bottom
    input  logic [OF*8-1:0]      act_in,
    output logic [OF*8-1:0]      act_out,
    // finished group accumulators, from the right to the left
    input  logic                 drain_valid_in,
    input  logic [ACCW-1:0]      drain_in,
    output logic                 drain_valid_out,
    output logic [ACCW-1:0]      drain_out
);
    localparam int PRODW = BITS + 8;

    logic                    valid_product, last_product;
    logic signed [PRODW-1:0] product [KEEP];
    logic signed [ACCW-1:0]  accumulator, total;

    always_ff @(posedge clk) begin
        code_out      <= code_in;
        sel_out       <= sel_in;
        act_out       <= act_in;
        last_out      <= last_in;
        last_product  <= last_out;
        valid_out     <= rst_n & valid_in;
        valid_product <= rst_n & valid_out;
    end

    for (genvar j = 0; j < KEEP; j++) begin : multiplier
        logic signed [BITS-1:0] code;
        logic signed [7:0]      act;

        assign code = code_out[j*BITS +: BITS];
        if (OF == KEEP) begin : dense
            logic unused_sel;
            assign unused_sel = ^sel_out[j*SELW +: SELW];
            assign act = act_out[j*8 +: 8];
        end else begin : sparse
            logic [OF-KEEP:0][7:0] reachable;  // activations j .. j+OF-KEEP
            assign reachable = act_out[j*8 +: (OF-KEEP+1)*8];
            assign act = reachable[sel_out[j*SELW +: SELW]];
        end
        always_ff @(posedge clk) product[j] <= PRODW'(code) * PRODW'(act);
    end

    always_comb begin
        total = accumulator;
        for (int j = 0; j < KEEP; j++) total = total + ACCW'(product[j]);
    end

    // The drain chain moves every cycle. A capture can never hit a passing value: the chain runs
    // against the weights, so the values of one group pass at most 2*COLS-1 cycles after its first
    // capture, and the next group ends 2*COLS cycles later or more (the rule checked in the top).
    always_ff @(posedge clk) begin
        if (!rst_n) begin
            accumulator     <= '0;
            drain_valid_out <= 1'b0;
        end else begin
            if (valid_product) accumulator <= last_product ? '0 : total;
            drain_valid_out <= (valid_product & last_product) | drain_valid_in;
        end
        drain_out <= (valid_product & last_product) ? total : drain_in;
    end
endmodule
