"""Netlists of every cell that ECP5 has for us compute what their source does; they are run, not trusted."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import run

import pytest

from nmforge.core.errors import NmforgeError
from nmforge.fpga.pnr.ecp5 import Design, PlaceSettings, RoutedDesign, place
from nmforge.fpga.pnr.netlist_cells import Stage
from nmforge.fpga.pnr.netlist_sim import cell_models, write_netlist
from nmforge.fpga.sources import run_make, run_verilator

pytestmark = pytest.mark.rtl


MEMORIES = """
module memories (
    input logic aclk, input logic rst, input logic we, input logic en, input logic [1:0] be,
    input logic [13:0] a, input logic [13:0] b, input logic [35:0] d, output logic [181:0] q
);
    (* ram_style = "block" *) logic [35:0] m36 [512];
    (* ram_style = "block" *) logic [17:0] m18 [1024];
    (* ram_style = "block" *) logic [8:0] m9 [2048], through [2048], older [2048];
    (* ram_style = "block" *) logic [3:0] m4 [4096];
    (* ram_style = "block" *) logic [1:0] m2 [8192];
    (* ram_style = "block" *) logic m1 [16384];
    (* ram_style = "distributed" *) logic [3:0] lut [16];
    logic [35:0] q36, product;
    logic [17:0] q18;
    logic [8:0] q9, q9w, q9o, count, down;
    logic [3:0] q4;
    logic [1:0] q2;
    logic q1;
    logic signed [17:0] x, y;
    logic asynchronous, set, negative, low;
    initial for (int i = 0; i < 1024; i++) m18[i] = 18'(i * 1237);

    always_ff @(posedge aclk) begin
        if (we) m36[b[8:0]] <= d;
        q36 <= m36[a[8:0]];
        for (int i = 0; i < 2; i++) if (we & be[i]) m18[b[9:0]][9*i +: 9] <= d[9*i +: 9];
        if (rst) q18 <= '0; else if (en) q18 <= m18[a[9:0]];
        if (we) m9[a[10:0]] <= d[8:0]; else q9 <= m9[a[10:0]];
        if (we) through[a[10:0]] <= d[8:0];
        q9w <= we ? d[8:0] : through[a[10:0]];
        if (we) older[a[10:0]] <= d[8:0];
        q9o <= older[a[10:0]];
        if (we) m4[b[11:0]] <= d[3:0];
        if (en) q4 <= m4[a[11:0]];
        if (we) m2[a[12:0]] <= d[1:0]; else q2 <= m2[a[12:0]];
        if (we) m1[b] <= d[0];
        q1 <= m1[a];
        if (we) lut[b[3:0]] <= d[3:0];
        {x, y} <= d;
        product <= x * y;
        if (rst) set <= 1'b1; else if (en) set <= d[7];
        if (!en) low <= d[9];
        count <= rst ? '0 : count + {d[8:1], 1'b1};
    end
    always_ff @(posedge aclk or posedge rst) if (rst) asynchronous <= 1'b0; else asynchronous <= d[5];
    always_ff @(negedge aclk) negative <= d[11];
    assign down = count - q9;
    assign q = {30'(product), 6'(product >> 30), q36, q18, q9, q9w, q9o, q4, q2, q1, lut[a[3:0]], down, count,
                asynchronous, set, negative, low, 27'(d)};
endmodule
"""
BENCH = """
module bench (input logic clk, output int wrong [3]);
    logic [63:0] random = 64'h9e3779b97f4a7c15;
    logic [181:0] expected, found [3];
    int cycle = 0;
    wire rst = cycle < 4 | (random[63:58] == 0);
    wire we = random[12], en = random[13];
    wire [1:0] be = random[16:15];
    wire [13:0] a = {random[3:2], 4'b0, random[1:0], 3'b0, random[5:3]};
    wire [13:0] b = {random[8:7], 4'b0, random[6], random[14], 3'b0, random[11:9]};
    wire [35:0] d = random[55:20];
    memories source (.aclk(clk), .rst, .we, .en, .be, .a, .b, .d, .q(expected));
    netlist_synthesis made (.aclk(clk), .rst, .we, .en, .be, .a, .b, .d, .q(found[0]));
    netlist_route placed (.aclk(clk), .rst, .we, .en, .be, .a, .b, .d, .q(found[1]));
    netlist_broken faulty (.aclk(clk), .rst, .we, .en, .be, .a, .b, .d, .q(found[2]));
    function logic [63:0] step(logic [63:0] x);
        step = x ^ (x << 13);
        step = step ^ (step >> 7);
        step = step ^ (step << 17);
    endfunction
    always_ff @(posedge clk) begin
        random <= step(random);
        cycle  <= cycle + 1;
        for (int i = 0; i < 3; i++) if (cycle > 2000 && found[i] != expected) wrong[i] <= wrong[i] + 1;
    end
    initial for (int i = 0; i < 3; i++) wrong[i] = 0;
endmodule
"""
MAIN = """
#include "Vbench.h"
#include "verilated.h"
#include <cstdio>
int main() {
    VerilatedContext context;
    Vbench top{&context};
    for (int i = 0; i < 40000; ++i) { top.clk = i % 2; top.eval(); }
    for (int i = 0; i < 3; ++i) std::printf("%d ", int(top.wrong[i]));
}
"""


def mismatches(folder: Path) -> list[int]:
    """Cycles in which the three netlists in `folder` differ from the source, of 18,000 with random inputs."""
    for name, text in (("memories.sv", MEMORIES), ("bench.sv", BENCH), ("main.cpp", MAIN)):
        (folder / name).write_text(text)
    netlists = ["netlist_synthesis.v", "netlist_route.v", "netlist_broken.v"]
    sources = ["memories.sv", "bench.sv", *netlists, *map(str, cell_models()), "main.cpp"]
    options = ["-Wno-fatal", "-Wno-lint", "--x-initial", "unique", "--x-assign", "unique", "--prefix", "Vbench"]
    run_verilator(["--cc", "--exe", *options, "--Mdir", ".", "--top-module", "bench", *sources], folder)
    run_make(["-f", "Vbench.mk", "OPT_FAST=-O0", "OPT_SLOW=-O0", "OPT_GLOBAL=-O0", "-j2", "Vbench"], folder)
    done = run([folder / "Vbench"], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


@pytest.fixture(scope="module")
def memories(builds: Path) -> RoutedDesign:
    (builds / "memories.sv").write_text(MEMORIES)
    return place(Design("memories", (builds / "memories.sv",), synthesis=()), PlaceSettings(), builds)


def invert_one_lut(routed: Path, out: Path) -> Path:
    """The routed design with the inverted table in one LUT that feeds a flip-flop."""
    design = json.loads(routed.read_text())
    cells = design["modules"]["top"]["cells"]
    stored = [cell["connections"].get("DI") for cell in cells.values() if cell["type"] == "TRELLIS_FF"]
    luts = {name: cell for name, cell in cells.items() if cell["type"] == "TRELLIS_COMB"}
    logic = [name for name, cell in luts.items() if "MODE" not in cell["parameters"]]
    parameters = luts[min(name for name in logic if luts[name]["connections"]["F"] in stored)]["parameters"]
    parameters["INITVAL"] = parameters["INITVAL"].translate(str.maketrans("01", "10"))
    out.write_text(json.dumps(design))
    return out


def test_netlists_of_memories_multipliers_and_registers_and_a_broken_one(
    memories: RoutedDesign, tmp_path: Path
) -> None:
    assert (memories.ram, memories.dsp) == (8, 1)
    broken = invert_one_lut(memories.routed, tmp_path / "broken.json")
    stages: list[tuple[str, Stage, Path]] = [
        ("synthesis", "synthesis", memories.synthesized),
        ("route", "route", memories.routed),
        ("broken", "route", broken),
    ]
    for name, stage, source in stages:
        netlist = write_netlist(stage, source, "memories", tmp_path / f"netlist_{name}.v")
        netlist.write_text(netlist.read_text().replace("module memories ", f"module netlist_{name} ", 1))
    after_synthesis, after_route, after_fault = mismatches(tmp_path)
    assert (after_synthesis, after_route) == (0, 0)
    assert after_fault > 0


def test_cells_and_modes_without_a_model_are_refused(memories: RoutedDesign, tmp_path: Path) -> None:
    def refused(kind: str, change: dict[str, object]) -> str:
        design = json.loads(memories.routed.read_text())
        cell = next(c for c in design["modules"]["top"]["cells"].values() if c["type"] == kind)
        cell.update(
            {key: {**cell[key], **value} if isinstance(value, dict) else value for key, value in change.items()}
        )
        (tmp_path / "odd.json").write_text(json.dumps(design))
        with pytest.raises(NmforgeError) as error:
            write_netlist("route", tmp_path / "odd.json", "memories", tmp_path / "odd.v")
        return str(error.value)

    assert "cell type EHXPLLL" in refused("TRELLIS_FF", {"type": "EHXPLLL"})
    assert "LSRMODE = 'PRLD'" in refused("TRELLIS_FF", {"parameters": {"LSRMODE": "PRLD"}})
    assert "MODE = 'SHIFT'" in refused("TRELLIS_COMB", {"parameters": {"MODE": "SHIFT"}})
    assert "NEW in use" in refused("TRELLIS_COMB", {"parameters": {"NEW": "1"}})
    assert "DIR = 'BIDIR'" in refused("TRELLIS_IO", {"parameters": {"DIR": "BIDIR"}})
    assert "DATA_WIDTH_A = 5" in refused("DP16KD", {"parameters": {"DATA_WIDTH_A": "0101"}})
    assert "REG_OUTPUT_CLK = 'CLK0'" in refused("MULT18X18D", {"parameters": {"REG_OUTPUT_CLK": "CLK0"}})
    assert "pin CSA0 in use" in refused("DP16KD", {"parameters": {"CSA0MUX": "CSA0"}})
