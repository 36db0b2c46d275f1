// Two-place buffer between a stream at the pins and the logic behind it: every handshake output is a
// register, so neither side's timing sees the other, and a beat moves every cycle.
//
// A register that drives a pin is placed near the pin. What the buffer itself looks at, `closed` and
// `empty`, are therefore registers of their own; they are the inverses of `in_ready` and `out_valid`,
// so that synthesis does not merge them with those.
module nmforge_skid #(
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
    logic             held, taken, moved;   // held: a second beat waits behind the one offered
    logic             closed, empty, rst;     // rst: near the buffer, however far the reset comes from
    logic [WIDTH-1:0] second;

    assign taken = in_valid & !closed;
    assign moved = out_ready | empty;
    always_ff @(posedge clk) begin
        rst <= !rst_n;
        if (rst) begin
            out_valid <= 1'b0;
            empty     <= 1'b1;
            held      <= 1'b0;
            in_ready  <= 1'b0;
            closed    <= 1'b1;
        end else begin
            out_valid <= !moved | held | taken;
            empty     <= moved & !held & !taken;
            held      <= !moved & (held | taken);
            in_ready  <= moved | !(held | taken);
            closed    <= !moved & (held | taken);
        end
        if (taken) second <= in_data;
        if (moved) out_data <= held ? second : in_data;
    end
endmodule
