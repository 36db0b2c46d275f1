// Triangle of registers in front of the array: lane i comes out FIRST + i cycles after it went in.
module nmforge_skew #(
    parameter int LANES = 4,
    parameter int WIDTH = 8,
    parameter int FIRST = 0
) (
    input  logic                        clk,
    input  logic [LANES-1:0][WIDTH-1:0] in,
    output logic [LANES-1:0][WIDTH-1:0] out
);
    for (genvar i = 0; i < LANES; i++) begin : lane
        if (FIRST + i == 0) begin : straight
            assign out[i] = in[i];
        end else begin : delayed
            logic [FIRST+i-1:0][WIDTH-1:0] stage;
            always_ff @(posedge clk) begin
                stage[0] <= in[i];
                for (int s = 1; s < FIRST + i; s++) stage[s] <= stage[s-1];
            end
            assign out[i] = stage[FIRST+i-1];
        end
    end
    if (LANES == 1 && FIRST == 0) begin : no_register
        logic unused_clk;
        assign unused_clk = clk;
    end
endmodule
