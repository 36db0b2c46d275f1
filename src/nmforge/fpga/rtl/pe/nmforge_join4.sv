// Two-way multiplexer at the third and higher levels of a selection tree (see nmforge_join2).
module nmforge_join4 (
    input  logic low,
    input  logic high,
    input  logic pick_high,
    output logic out
);
    assign out = pick_high ? high : low;
endmodule
