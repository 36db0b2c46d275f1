// out = window[sel] ^ {8{invert}}, as a tree whose first level holds the inversion.
//
// A 2:1 multiplexer with an inversion has four inputs: the inversion costs nothing in a LUT4. Places
// from OF up to the next power of two read as inverted zeros; the loader never selects them.
module nmforge_select #(
    parameter  int OF    = 4,
    localparam int SELW  = (OF > 1) ? $clog2(OF) : 1,
    localparam int LEAFS = (OF > 1) ? 2**(SELW-1) : 1
) (
    input  logic [OF-1:0][7:0] window,
    input  logic [SELW-1:0]    sel,
    input  logic               invert,
    output logic [7:0]         out
);
    if (OF == 1) begin : dense
        logic unused_sel;
        assign unused_sel = ^sel;
        assign out = window[0] ^ {8{invert}};
    end else begin : tree
        logic [2*LEAFS-1:0][7:0] places;
        // node[1] is the root, node[n] joins node[2n] and node[2n+1], the leafs are node[LEAFS] and up
        logic [2*LEAFS-1:1][7:0] node;

        assign places = {{(2*LEAFS-OF)*8{1'b0}}, window};
        for (genvar i = 0; i < LEAFS; i++) begin : leaf
            assign node[LEAFS+i] = (sel[0] ? places[2*i+1] : places[2*i]) ^ {8{invert}};
        end
        for (genvar n = 1; n < LEAFS; n++) begin : inner
            localparam int LEVEL = SELW - $clog2(n + 1);  // bit of `sel` that decides here
            for (genvar b = 0; b < 8; b++) begin : bit_of
                if (LEVEL == 1) begin : second
                    nmforge_join2 join2 (
                        .low(node[2*n][b]), .high(node[2*n+1][b]), .pick_high(sel[LEVEL]), .out(node[n][b])
                    );
                end else begin : higher
                    nmforge_join4 join4 (
                        .low(node[2*n][b]), .high(node[2*n+1][b]), .pick_high(sel[LEVEL]), .out(node[n][b])
                    );
                end
            end
        end
        assign out = node[1];
    end
endmodule
