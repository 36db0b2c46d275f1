"""Resource counts of the engine from Yosys. Synthesis only: nothing is placed, so no clock comes out of it.

Weight multipliers (INT4 x INT8) go to LUTs on both families, since a DSP block for each of them would waste its
width and crowd the DSP columns; the counts of the dense and the sparse engines stay comparable that way.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from nmforge.core.errors import NmforgeError
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.sources import TECHMAP, rtl_sources
from nmforge.fpga.synth.yowasp import read_design, run_wasm

SYNTHESIS = {
    "ecp5": "synth_ecp5 -nodsp -top {top}",
    "xcup": "synth_xilinx -family xcup -nodsp -noiopad -top {top}",
}
XCUP_MEMORY_LUTS = {"SRL16E": 1, "SRLC32E": 1, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8}
Counts = dict[str, int]


def synthesize(engine: Engine, target: str, build_dir: Path) -> Counts:
    """LUTs, flip-flops and DSP blocks of one engine: {lut, ff, dsp}.

    A carry cell of two LUT inputs (ECP5 CCU2C) counts as two LUTs, a distributed RAM as the LUTs it takes. Raises
    NmforgeError where the target is unknown or Yosys stops.
    """
    if target not in SYNTHESIS:
        raise NmforgeError(f"fpga.targets: {target!r} is unknown; use one of {', '.join(SYNTHESIS)}")
    build_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="synthesize-", dir=build_dir) as name:
        folder = Path(name)
        read = read_design(engine.top, rtl_sources(), engine.parameters, TECHMAP.get(target), folder)
        synth = SYNTHESIS[target].format(top=engine.top)
        run_wasm("yosys", ["-q", "-p", f"{read}; {synth} -flatten; tee -q -o statistics.json stat -json"], folder)
        cells = json.loads((folder / "statistics.json").read_text())["design"]["num_cells_by_type"]
    return {"ecp5": count_ecp5, "xcup": count_xcup}[target](cells)


def count_ecp5(cells: Counts) -> Counts:
    """From cell types of synth_ecp5."""
    ram = 4 * cells.get("TRELLIS_DPR16X4", 0)
    return {
        "lut": cells.get("LUT4", 0) + 2 * cells.get("CCU2C", 0) + ram,
        "ff": cells.get("TRELLIS_FF", 0),
        "dsp": cells.get("MULT18X18D", 0),
    }


def count_xcup(cells: Counts) -> Counts:
    """From cell types of synth_xilinx; a CARRY chain shares the LUTs in front of it, LUTs used as memory count.

    Block RAM (RAMB18E2, RAMB36E2) takes no LUT.
    """
    memories = [name for name in cells if name.startswith(("RAM", "SRL")) and not name.startswith("RAMB")]
    unknown = sorted(set(memories) - set(XCUP_MEMORY_LUTS))
    if unknown:
        raise NmforgeError(f"xcup cell {unknown[0]} has no LUT count; add it to XCUP_MEMORY_LUTS in fpga/synthesize.py")
    logic = sum(count for name, count in cells.items() if name.startswith("LUT") or name == "INV")
    return {
        "lut": logic + sum(luts * cells.get(name, 0) for name, luts in XCUP_MEMORY_LUTS.items()),
        "ff": sum(count for name, count in cells.items() if name in ("FDRE", "FDSE", "FDCE", "FDPE")),
        "dsp": cells.get("DSP48E2", 0),
    }
