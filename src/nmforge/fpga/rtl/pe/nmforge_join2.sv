// Two-way multiplexer at the second level of a selection tree: joins two 2:1 selections into 4:1.
//
// It is a module of its own so that a device with a hard multiplexer behind its LUTs can use it:
// techmap/ecp5.v puts a PFUMX here, which is free, where a logic optimiser would take a LUT.
module nmforge_join2 (
    input  logic low,
    input  logic high,
    input  logic pick_high,
    output logic out
);
    assign out = pick_high ? high : low;
endmodule
