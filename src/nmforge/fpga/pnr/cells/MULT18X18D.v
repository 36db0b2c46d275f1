// 18 x 18 bit multiplier without its registers; each factor is signed or not.
module MULT18X18D (
    input [17:0] A, B,
    input SIGNEDA, SIGNEDB,
    output [35:0] P
);
    wire signed [35:0] a = {{18{SIGNEDA & A[17]}}, A};
    wire signed [35:0] b = {{18{SIGNEDB & B[17]}}, B};

    assign P = a * b;
endmodule
