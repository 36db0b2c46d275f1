// Decides, cycle by cycle, whether the next window is launched, and what it is.
//
// All flow control of the engine happens here. A launched window runs through the array without ever
// being held, so nothing behind this point needs a clock enable:
//   - a stream that has nothing to offer simply leaves a bubble;
//   - the last window of a group waits for the group multipliers it will need at the row edge;
//   - the first window of a tile waits for one of the two result slots, which is how back-pressure
//     of the output stream reaches the inputs.
module nmforge_sequencer #(
    parameter int WINDOWS = 16  // windows in a group
) (
    input  logic        clk,
    input  logic        rst_n,
    input  logic [15:0] groups_per_tile,
    input  logic        window_offered,   // codes, offsets and activations of a window are there
    input  logic        mult_offered,
    input  logic        slot_released,
    output logic        launch,
    output logic        group_end,        // this window is the last one of its group
    output logic        first_group,
    output logic        last_group
);
    localparam int WINW = (WINDOWS > 1) ? $clog2(WINDOWS) : 1;

    logic [WINW-1:0] window;
    logic [15:0]     group;
    logic [1:0]      slots_used;
    logic            tile_start;

    assign group_end   = window == WINW'(WINDOWS - 1);
    assign first_group = group == 16'd0;
    assign last_group  = group == groups_per_tile - 16'd1;
    assign tile_start  = first_group & (window == '0);
    assign launch = rst_n & window_offered & (mult_offered | !group_end) & (!slots_used[1] | !tile_start);

    always_ff @(posedge clk) begin
        if (!rst_n) begin
            window     <= '0;
            group      <= '0;
            slots_used <= '0;
        end else begin
            if (launch) window <= group_end ? '0 : window + 1'b1;
            if (launch & group_end) group <= last_group ? '0 : group + 16'd1;
            slots_used <= slots_used + {1'b0, launch & tile_start} - {1'b0, slot_released};
        end
    end
endmodule
