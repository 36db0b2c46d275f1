// Flip-flop. SET is its value after configuration and after LSR, ASYNC says whether LSR waits for the clock.
// A synchronous LSR acts without CE. Inverted clock, enable and reset are inverted by the netlist.
module TRELLIS_FF #(
    parameter SET = 0,
    parameter ASYNC = 0
) (
    input CLK, CE, LSR, D,
    output reg Q
);
    localparam [0:0] AFTER_RESET = SET;

    initial Q = AFTER_RESET;
    if (ASYNC != 0) begin : asynchronous
        always @(posedge CLK or posedge LSR)
            if (LSR) Q <= AFTER_RESET;
            else if (CE) Q <= D;
    end else begin : synchronous
        always @(posedge CLK)
            if (LSR) Q <= AFTER_RESET;
            else if (CE) Q <= D;
    end
endmodule
