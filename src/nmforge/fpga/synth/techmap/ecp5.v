// Upper levels of selection trees on ECP5: the hard multiplexers after a slice's two LUT4.
module nmforge_join2 (input low, input high, input pick_high, output out);
    PFUMX mux (.BLUT(low), .ALUT(high), .C0(pick_high), .Z(out));
endmodule

module nmforge_join4 (input low, input high, input pick_high, output out);
    L6MUX21 mux (.D0(low), .D1(high), .SD(pick_high), .Z(out));
endmodule
