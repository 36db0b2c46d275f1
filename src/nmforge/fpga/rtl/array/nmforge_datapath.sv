// What a GEMM engine is behind its flow control: edge registers, skew, array, row edges.
//
// The inputs of a step arrive together and are registered here; `control` says what the step is. A
// step is never held, so there is no ready. Fields are packed as on the streams of nmforge_gemm.
module nmforge_datapath
    import nmforge_types::control_t;
#(
    parameter  int OF    = 4,
    parameter  int BITS  = 4,
    parameter  int LANES = 1,
    parameter  int ROWS  = 4,
    parameter  int COLS  = 4,
    parameter  int GROUP = 64,
    localparam int IDXW  = (OF > 1) ? $clog2(OF) : 1
) (
    input  logic                       clk,
    input  logic                       rst_n,
    input  control_t                   control_in,
    input  logic [ROWS*LANES*BITS-1:0] code,
    input  logic [ROWS*LANES*IDXW-1:0] index,
    input  logic [ROWS*8-1:0]          mult,         // looked at with the last step of a group
    input  logic [COLS*LANES*OF*8-1:0] act,          // looked at with the first step of a window
    output logic                       index_error,  // an offset did not ascend: no tile is done until reset
    output logic [ROWS-1:0][31:0]      oldest,       // finished sums of one column
    output logic                       tile_done,
    input  logic                       shift         // on to the next column
);
    localparam int ACCW  = BITS + 7 + $clog2(GROUP);
    localparam int CODEW = 1 + 2 * ((BITS + 1) / 2);           // a recoded weight
    localparam int PEW   = LANES * (CODEW + IDXW);             // what travels along a row of PEs
    localparam int WORDW = PEW + LANES * BITS + 8;             // and besides it, to the row's edge

    // ---- edge registers ----
    control_t [ROWS-1:0]                   control;            // control[r] belongs to row r: r cycles later
    logic [ROWS-1:0][LANES-1:0][IDXW-1:0]  index_edge;
    logic [ROWS-1:0][LANES-1:0][BITS-1:0]  code_edge;
    logic [ROWS-1:0][7:0]                  mult_edge;
    logic [COLS-1:0][LANES*OF*8-1:0]       window_edge;

    // Reset travels with the rows, as the steps do: one register a row instead of one net to all of
    // them. It has to be held for ROWS + 8 cycles.
    logic [ROWS-1:0] row_rst, row_rst_n;

    assign row_rst_n = ~row_rst;
    always_ff @(posedge clk) begin
        row_rst[0] <= !rst_n;
        for (int r = 1; r < ROWS; r++) row_rst[r] <= row_rst[r-1];
        control[0] <= control_in;
        for (int r = 1; r < ROWS; r++) control[r] <= row_rst_n[r] ? control[r-1] : '0;
        window_edge <= act;
        code_edge   <= code;
        index_edge  <= index;
        mult_edge   <= mult;
    end

    // ---- recode once per row, then the skew that lines steps and windows up along the diagonals ----
    logic [ROWS-1:0][WORDW-1:0]      word_edge, word;
    logic [COLS-1:0][LANES*OF*8:0]   act_edge, act_word;
    logic [COLS-1:0]                 load;
    logic [COLS-1:0][LANES*OF*8-1:0] window;

    for (genvar r = 0; r < ROWS; r++) begin : row_word
        logic [LANES-1:0][CODEW+IDXW-1:0] recoded;
        logic [LANES-1:0][BITS-1:0]       missing;
        for (genvar j = 0; j < LANES; j++) begin : weight
            logic             negative;
            logic [CODEW-2:0] digits;
            nmforge_recode #(.BITS(BITS)) recode (
                .code(code_edge[r][j]), .negative, .digits, .missing(missing[j])
            );
            assign recoded[j] = {digits, negative, index_edge[r][j]};
        end
        assign word_edge[r] = {recoded, missing, mult_edge[r]};
    end
    for (genvar c = 0; c < COLS; c++) begin : column_word
        assign act_edge[c] = {control[0].valid & control[0].window_start, window_edge[c]};
        assign {load[c], window[c]} = act_word[c];
    end
    nmforge_skew #(.LANES(ROWS), .WIDTH(WORDW)) weight_skew (.clk, .in(word_edge), .out(word));
    nmforge_skew #(.LANES(COLS), .WIDTH(LANES*OF*8+1)) act_skew (.clk, .in(act_edge), .out(act_word));

    // ---- loader's check ----
    if (OF > 1) begin : check
        logic [ROWS*LANES-1:0] bad;
        for (genvar i = 0; i < ROWS * LANES; i++) begin : offset
            nmforge_index_check #(.OF(OF)) ascending (
                .clk, .valid(control[0].valid), .first(control[0].window_start),
                .index(index_edge[i/LANES][i%LANES]), .bad(bad[i])
            );
        end
        always_ff @(posedge clk) index_error <= rst_n & (index_error | (|bad));
    end else begin : no_check
        assign index_error = 1'b0;
    end

    // ---- array and row edges ----
    logic [ROWS-1:0]           valid, last, drain_valid, row_done;
    logic [ROWS-1:0][PEW-1:0]  row_weights;
    logic [ROWS-1:0][ACCW-1:0] drain;
    logic                      unused_done;

    nmforge_array #(.OF(OF), .BITS(BITS), .LANES(LANES), .ROWS(ROWS), .COLS(COLS), .GROUP(GROUP)) array (
        .clk, .rst_n(row_rst_n), .valid, .last, .word(row_weights), .load, .act(window), .drain_valid, .drain
    );
    for (genvar r = 0; r < ROWS; r++) begin : edges
        logic [ACCW-1:0] missing_total;

        assign valid[r]       = control[r].valid;
        assign last[r]        = control[r].group_end;
        assign row_weights[r] = word[r][WORDW-1 -: PEW];

        nmforge_missing #(.BITS(BITS), .LANES(LANES), .ACCW(ACCW)) left_out (
            .clk, .rst_n(row_rst_n[r]), .valid(valid[r]), .last(last[r]),
            .missing(word[r][8 +: LANES*BITS]), .total(missing_total)
        );
        nmforge_row_scale #(.COLS(COLS), .ACCW(ACCW)) scale (
            .clk, .rst_n(row_rst_n[r]),
            .tag_valid(valid[r] & last[r]), .tag_last(control[r].last_group), .tag_mult(word[r][7:0]),
            .missing(missing_total), .drain_valid(drain_valid[r]), .drain(drain[r]),
            .shift, .oldest(oldest[r]), .tile_done(row_done[r])
        );
    end
    // The last row runs ROWS-1 cycles behind the first one: when it is done, all rows are. An error
    // is known long before its tile is done, and from then on no tile ever is.
    assign tile_done   = row_done[ROWS-1] & !index_error;
    assign unused_done = ^row_done;
endmodule
