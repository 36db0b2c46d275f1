"""Resource counts of an engine from Yosys. Synthesis only: nothing is placed, so no clock comes out of it.

Weight multipliers (INT4 x INT8) go to LUTs on every family, since a DSP block for each of them would waste its
width and crowd the DSP columns; the counts of the dense and the sparse engines stay comparable that way.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from nmforge.fpga.model.engine import Engine
from nmforge.fpga.sources import rtl_sources
from nmforge.fpga.synth.families.registry import REGISTRY, Counts
from nmforge.fpga.synth.yowasp import read_design, run_wasm


def synthesize(engine: Engine, target: str, build_dir: Path) -> Counts:
    """LUTs, flip-flops and DSP blocks of one engine: {lut, ff, dsp}.

    target: an FPGA family. Raises NmforgeError where it is unknown or Yosys stops.
    """
    family = REGISTRY.get(target, "fpga.targets")
    build_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="synthesize-", dir=build_dir) as name:
        folder = Path(name)
        read = read_design(engine.top, rtl_sources(), engine.parameters, family.techmap, folder)
        synth = f"{family.synthesis} -top {engine.top} -flatten"
        run_wasm("yosys", ["-q", "-p", f"{read}; {synth}; tee -q -o statistics.json stat -json"], folder)
        cells = json.loads((folder / "statistics.json").read_text())["design"]["num_cells_by_type"]
    return family.count(cells)
