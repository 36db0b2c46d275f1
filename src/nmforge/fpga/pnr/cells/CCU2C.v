// Two bits of a carry chain.
module CCU2C #(
    parameter [15:0] INIT0 = 16'h0,
    parameter [15:0] INIT1 = 16'h0,
    parameter INJECT1_0 = 0,
    parameter INJECT1_1 = 0
) (
    input CIN, A0, B0, C0, D0, A1, B1, C1, D1,
    output S0, S1, COUT
);
    wire middle;

    CARRY #(.INIT(INIT0), .INJECT(INJECT1_0)) low (
        .A(A0), .B(B0), .C(C0), .D(D0), .CIN(CIN), .S(S0), .COUT(middle)
    );
    CARRY #(.INIT(INIT1), .INJECT(INJECT1_1)) high (
        .A(A1), .B(B1), .C(C1), .D(D1), .CIN(middle), .S(S1), .COUT(COUT)
    );
endmodule
