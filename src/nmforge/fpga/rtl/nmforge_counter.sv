// Counts `total` events over and over; `last` is high while the next event is the last one.
//
// `last` is a register, so what depends on it starts early in the cycle however wide the count is.
// `total` (at least 1) may change only under reset, and two cycles before its end.
module nmforge_counter #(
    parameter int WIDTH = 16
) (
    input  logic             clk,
    input  logic             rst_n,
    input  logic [WIDTH-1:0] total,
    input  logic             count,
    output logic             last
);
    logic [WIDTH-1:0] most, left;   // events to come after the next one: at the start, and now

    always_ff @(posedge clk) begin
        most <= total - 1'b1;
        if (!rst_n) begin
            left <= most;
            last <= most == '0;
        end else if (count) begin
            left <= last ? most : left - 1'b1;
            last <= last ? most == '0 : left == WIDTH'(1);
        end
    end
endmodule
