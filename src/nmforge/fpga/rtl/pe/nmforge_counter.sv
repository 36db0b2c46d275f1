// Counts `total` events over and over; `last` is high while the next event is the last one.
//
// `count` comes late in the cycle and from far away, so it reaches three registers and no more,
// however wide the count is: `left` lags one event behind, and what its end looks like is a chain of
// flags made in the cycles before. `total` (at least 1) may change only under reset, and two cycles
// before its end.
module nmforge_counter #(
    parameter int WIDTH = 16
) (
    input  logic             clk,
    input  logic             rst_n,
    input  logic [WIDTH-1:0] total,
    input  logic             count,
    output logic             last
);
    logic [WIDTH-1:0] most, left;   // events to come after the next one: at the start, and a cycle ago
    logic [3:0]       most_is, left_is, left_now;   // one-hot: 0, 1, 2 or 3 of them
    logic             counted, next_last;           // count, a cycle ago; the next event but one is the last one

    assign left_now = !counted ? left_is : left_is[0] ? most_is : {left == WIDTH'(4), left_is[3:1]};
    always_ff @(posedge clk) begin
        most    <= total - 1'b1;
        for (int i = 0; i < 4; i++) most_is[i] <= total == WIDTH'(i + 1);
        counted <= rst_n & count;
        left_is <= rst_n ? left_now : most_is;
        if (!rst_n) left <= most;
        else if (counted) left <= left_is[0] ? most : left - 1'b1;
        if (!rst_n) {next_last, last} <= most_is[1:0];
        else if (count) {next_last, last} <= last ? most_is[1:0] : {left_now[2], next_last};
    end
endmodule
