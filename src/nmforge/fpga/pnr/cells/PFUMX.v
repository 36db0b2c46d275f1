// The multiplexer that makes two LUT4 of a slice one function of five inputs.
module PFUMX (
    input ALUT, BLUT, C0,
    output Z
);
    assign Z = C0 ? ALUT : BLUT;
endmodule
