// Triangle of registers in front of the array: lane i comes out i cycles after it went in.
module nmforge_skew #(
    parameter int LANES = 4,
    parameter int WIDTH = 8
) (
    input  logic                        clk,
    input  logic [LANES-1:0][WIDTH-1:0] in,
    output logic [LANES-1:0][WIDTH-1:0] out
);
    assign out[0] = in[0];
    for (genvar i = 1; i < LANES; i++) begin : lane
        logic [i-1:0][WIDTH-1:0] stage;
        always_ff @(posedge clk) begin
            stage[0] <= in[i];
            for (int s = 1; s < i; s++) stage[s] <= stage[s-1];
        end
        assign out[i] = stage[i-1];
    end
    if (LANES == 1) begin : single
        logic unused_clk;
        assign unused_clk = clk;
    end
endmodule
