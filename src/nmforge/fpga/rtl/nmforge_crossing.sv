// A stream between pins and the logic far behind them: two buffers, one for each end to keep near it, and
// between them nothing but wires from register to register. A beat takes two cycles and moves every cycle.
module nmforge_crossing #(
    parameter int WIDTH = 32
) (
    input  logic             clk,
    input  logic             rst_n,
    input  logic [WIDTH-1:0] in_data,
    input  logic             in_valid,
    output logic             in_ready,
    output logic [WIDTH-1:0] out_data,
    output logic             out_valid,
    input  logic             out_ready
);
    logic [WIDTH-1:0] data;
    logic             valid, ready;

    nmforge_skid #(.WIDTH(WIDTH)) near_in (
        .clk, .rst_n, .in_data, .in_valid, .in_ready, .out_data(data), .out_valid(valid), .out_ready(ready)
    );
    nmforge_skid #(.WIDTH(WIDTH)) near_out (
        .clk, .rst_n, .in_data(data), .in_valid(valid), .in_ready(ready), .out_data, .out_valid, .out_ready
    );
endmodule
