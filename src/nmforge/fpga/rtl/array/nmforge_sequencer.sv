// Decides, cycle by cycle, whether the next step is launched, and what it is.
//
// A step is one kept weight of every row and lane. `keep` steps make a window (of each lane), WINDOWS
// windows a group, `groups_per_tile` groups a tile. All flow control of an engine happens here: a
// launched step runs through the array without ever being held, so nothing behind this point
// needs a clock enable:
//   - a stream that has nothing to offer simply leaves a bubble;
//   - the first step of a window waits for the window, and takes it;
//   - the last step of a group waits for the multipliers it will need at the row edge;
//   - the last step of a tile waits until the sums of the tile before were sent, which is how
//     back-pressure of the output stream reaches the inputs.
module nmforge_sequencer
    import nmforge_types::control_t;
#(
    parameter  int OF      = 4,
    parameter  int WINDOWS = 16,  // windows of one lane in a group
    localparam int KEEPW   = $clog2(OF + 1),
    localparam int IDXW    = (OF > 1) ? $clog2(OF) : 1
) (
    input  logic             clk,
    input  logic             rst_n,
    input  logic [KEEPW-1:0] keep,
    input  logic [15:0]      groups_per_tile,
    input  logic             step_offered,    // codes (and offsets) of a step are there; low under reset
    input  logic             window_offered,  // activations of a window are there
    input  logic             mult_offered,
    input  logic             tile_sent,
    output control_t         control,         // control.valid: the step is launched in this cycle
    output logic [IDXW-1:0]  step
);
    localparam int GROUPW = $clog2(OF * WINDOWS + 1);

    logic launch, window_start, window_end, group_end, last_group, sums_waiting, blocked;

    nmforge_counter #(.WIDTH(KEEPW)) window_steps (
        .clk, .rst_n, .total(keep), .count(launch), .last(window_end)
    );
    nmforge_counter #(.WIDTH(GROUPW)) group_steps (
        .clk, .rst_n, .total(GROUPW'(32'(keep) * WINDOWS)), .count(launch), .last(group_end)
    );
    nmforge_counter #(.WIDTH(16)) groups (
        .clk, .rst_n, .total(groups_per_tile), .count(launch & group_end), .last(last_group)
    );
    assign launch = step_offered & (window_offered | !window_start) & (!group_end | (mult_offered & !blocked));
    assign control = '{valid: launch, window_start: window_start, group_end: group_end, last_group: last_group};

    // `blocked` is a register, which keeps the decision to two levels of logic. It may lag: it is
    // looked at with the last step of a group, and a group has more than one step.
    always_ff @(posedge clk) blocked <= last_group & sums_waiting;
    always_ff @(posedge clk) begin
        if (!rst_n) begin
            step         <= '0;
            window_start <= 1'b1;
            sums_waiting <= 1'b0;
        end else begin
            if (launch) step <= window_end ? '0 : step + 1'b1;
            if (launch) window_start <= window_end;
            sums_waiting <= (sums_waiting & !tile_sent) | (launch & group_end & last_group);
        end
    end
endmodule
