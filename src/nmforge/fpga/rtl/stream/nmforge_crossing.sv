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

    // ---- near end, and the way ----
    logic [WIDTH-1:0] near_data, data;
    logic             near_valid, valid, near_room, room, near_rst, rst;

    always_ff @(posedge clk) begin
        rst        <= !rst_n;
        near_rst   <= rst;
        near_room  <= room;
        in_ready   <= !near_rst & near_room;
        near_data  <= in_data;
        near_valid <= !near_rst & in_valid & in_ready;
        data       <= near_data;
        valid      <= !near_rst & near_valid;
    end

    // ---- far end: `out_ready` comes from a distance, so little is left to do behind it ----
    logic [WIDTH-1:0]  beats [2**DEPTHW];
    logic [DEPTHW-1:0] write_place, read_place, read_after;   // read_after: the place behind read_place
    logic [DEPTHW:0]   used;                                  // lags one cycle behind the reads
    logic              some, read, was_read;                  // some: there is a beat at read_place

    assign read = some & (out_ready | !out_valid);
    always_ff @(posedge clk) begin
        if (valid) beats[write_place] <= data;
        if (read) out_data <= beats[read_place];
    end
    always_ff @(posedge clk) begin
        if (rst) begin
            write_place <= '0;
            read_place  <= '0;
            read_after  <= DEPTHW'(1);
            used        <= '0;
            was_read    <= 1'b0;
            some        <= 1'b0;
            out_valid   <= 1'b0;
            room        <= 1'b0;
        end else begin
            if (valid) write_place <= write_place + 1'b1;
            if (read) begin
                read_place <= read_after;
                read_after <= read_after + 1'b1;
            end
            was_read  <= read;
            used      <= used + (DEPTHW+1)'(valid) - (DEPTHW+1)'(was_read);
            some      <= valid | (read ? read_after != write_place : read_place != write_place);
            out_valid <= read | (out_valid & !out_ready);
            room      <= used[DEPTHW:DEPTHW-1] == '0;
        end
    end
endmodule
