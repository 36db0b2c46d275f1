// Block RAM with rows of SLICES words, written word by word and read row by row, two cycles later.
//
// The second cycle is the RAM's output register: without it a block RAM takes most of a short cycle.
// A word is written one cycle after it was offered: the block RAMs lie far apart, and the way to them
// is a cycle's work. What a row reads as in that cycle and the next is not defined: the banks look at
// a row two cycles after its last word, and logic that would define it would stand between the RAM
// and its register.
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
    logic [ADDRW-1:0] row_written;
    logic [WORD-1:0]  word_written;

    always_ff @(posedge clk) begin
        row_written  <= write_row;
        word_written <= write_word;
    end
    for (genvar i = 0; i < SLICES; i++) begin : slice
        (* no_rw_check *) logic [WORD-1:0] memory [DEPTH];
        logic [WORD-1:0] fetched;
        logic            written;
        always_ff @(posedge clk) begin
            written <= write & (write_slice == SLICEW'(i));
            if (written) memory[row_written] <= word_written;
            fetched             <= memory[read_row];
            row[i*WORD +: WORD] <= fetched;
        end
    end
endmodule
