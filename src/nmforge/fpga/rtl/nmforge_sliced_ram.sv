// Block RAM with rows of SLICES words, written word by word and read row by row, two cycles later.
//
// The second cycle is the RAM's output register: without it a block RAM takes most of a short cycle.
// What a row reads as in the cycle of its own write is not defined: the banks look at a row only
// after it was written, and logic that would define it would stand between the RAM and its register.
module nmforge_sliced_ram #(
    parameter  int WORD   = 32,
    parameter  int SLICES = 1,
    parameter  int DEPTH  = 1024,
    localparam int ADDRW  = $clog2(DEPTH),
    localparam int SLICEW = (SLICES > 1) ? $clog2(SLICES) : 1
) (
    input  logic                   clk,
    input  logic                   write,
    input  logic [ADDRW-1:0]       write_row,
    input  logic [SLICEW-1:0]      write_slice,
    input  logic [WORD-1:0]        write_word,
    input  logic [ADDRW-1:0]       read_row,
    output logic [SLICES*WORD-1:0] row
);
    for (genvar i = 0; i < SLICES; i++) begin : slice
        (* no_rw_check *) logic [WORD-1:0] memory [DEPTH];
        logic [WORD-1:0] fetched;
        always_ff @(posedge clk) begin
            if (write & (write_slice == SLICEW'(i))) memory[write_row] <= write_word;
            fetched             <= memory[read_row];
            row[i*WORD +: WORD] <= fetched;
        end
    end
endmodule
