// A stream across the chip: from pins to the logic far behind them, or back.
//
// On the way, data, and the leave to send it, go from register to register with nothing in between; what
// decides sits at either end, beside a buffer of 16 beats in LUT RAM at the far one. That end says in time
// that there is no room: up to five beats are still to come when it does. A beat takes four cycles, and
// moves every cycle.
module nmforge_crossing #(
    parameter int WIDTH = 32
) (
    input  logic             clk,
    input  logic             rst_n,
    input  logic [WIDTH-1:0] in_data,
    input  logic             in_valid,
    output logic             in_ready,
    output logic [WIDTH-1:0] out_data,
    output logic             out_valid,
    input  logic             out_ready
);
    localparam int DEPTHW = 4;

    // ---- near end ----
    logic [WIDTH-1:0] near_data, way_data;
    logic             near_valid, way_valid, near_room, far_room, near_rst, far_rst;

    always_ff @(posedge clk) begin
        far_rst    <= !rst_n;
        near_rst   <= far_rst;
        near_room  <= far_room;
        in_ready   <= !near_rst & near_room;
        near_data  <= in_data;
        near_valid <= !near_rst & in_valid & in_ready;
        way_data   <= near_data;
        way_valid  <= !near_rst & near_valid;
    end

    // ---- far end ----
    logic [WIDTH-1:0]  beats [2**DEPTHW];
    logic [DEPTHW-1:0] write_place, read_place;
    logic [DEPTHW:0]   used;
    logic              some, read;   // some: used is not 0

    assign read = some & (out_ready | !out_valid);
    always_ff @(posedge clk) begin
        if (way_valid) beats[write_place] <= way_data;
        if (read) out_data <= beats[read_place];
    end
    always_ff @(posedge clk) begin
        if (far_rst) begin
            write_place <= '0;
            read_place  <= '0;
            used        <= '0;
            some        <= 1'b0;
            out_valid   <= 1'b0;
            far_room    <= 1'b0;
        end else begin
            write_place <= write_place + DEPTHW'(way_valid);
            read_place  <= read_place + DEPTHW'(read);
            used        <= used + (DEPTHW+1)'(way_valid) - (DEPTHW+1)'(read);
            some        <= way_valid | (|used[DEPTHW:1]) | (some & !read);
            out_valid   <= read | (out_valid & !out_ready);
            far_room    <= used[DEPTHW:DEPTHW-1] == '0;
        end
    end
endmodule
