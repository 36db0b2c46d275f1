// Adds up, over a group, what the PEs of a row leave out of their sums (see nmforge_recode).
//
// `total` stands two cycles after the group's last step, for one cycle.
module nmforge_missing #(
    parameter  int BITS  = 4,
    parameter  int LANES = 1,
    parameter  int ACCW  = 17
) (
    input  logic                       clk,
    input  logic                       rst_n,
    input  logic                       valid,
    input  logic                       last,
    input  logic [LANES-1:0][BITS-1:0] missing,
    output logic [ACCW-1:0]            total
);
    logic [BITS+7:0] step_sum, of_step, running, next;   // a group has at most 256 steps
    logic            valid_step, last_step;

    always_comb begin
        step_sum = '0;
        for (int j = 0; j < LANES; j++) step_sum = step_sum + (BITS+8)'(missing[j]);
    end
    assign next = running + of_step;
    always_ff @(posedge clk) begin
        of_step    <= step_sum;
        last_step  <= last;
        valid_step <= rst_n & valid;
        if (!rst_n) running <= '0;
        else if (valid_step) running <= last_step ? '0 : next;
        total <= ACCW'(next);
    end
endmodule
