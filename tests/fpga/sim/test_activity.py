"""Toggles of an engine's signals: how they are read, and that they follow the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmforge.core.compressed_linear import random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.core.reference import accumulate
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.sim.activity import read_toggles
from nmforge.fpga.sim.engine import SimulationSettings, simulate
from nmforge.fpga.sim.simulator import SimulationResult
from nmforge.fpga.sim.verilator import Watch

pytestmark = pytest.mark.rtl

ENGINE = Engine(4, 4, 2, 2, 32)


def line(signal: str, scope: str, count: int) -> str:
    fields = {"f": "a.sv", "l": "1", "t": "toggle", "o": signal, "h": scope}
    return "C '" + "".join(f"\x01{key}\x02{value}" for key, value in fields.items()) + f"' {count}\n"


def test_toggles_are_summed_by_part_and_clocks_left_out(tmp_path: Path) -> None:
    file = tmp_path / "toggles.dat"
    file.write_text(
        "# SystemC::Coverage-3\n"
        + line("clk:0->1", "TOP.nmforge_gemm.datapath.array", 1000)
        + line("aclk:1->0", "TOP.nmforge_gemm", 1000)
        + line("act[3]:0->1", "TOP.nmforge_gemm.datapath.array.row[*].pe", 5)
        + line("sum:1->0", "TOP.nmforge_gemm.datapath.edges[*].scale", 7)
        + line("step[0]:0->1", "TOP.nmforge_gemm.sequencer", 11)
    )
    assert read_toggles(file) == {"array": 5, "scale": 7, "control": 11}
    file.write_text("# SystemC::Coverage-3\n")
    with pytest.raises(NmforgeError, match=r"toggles\.dat counts no toggle"):
        read_toggles(file)


def test_an_array_that_multiplies_zeros_moves_less(tmp_path: Path, builds: Path) -> None:
    rng = np.random.default_rng(0)
    linear = random_linear(rng, 4, 256, Pattern(2, 4), 4, 32)
    busy = rng.integers(-127, 128, (4, 256), dtype=np.int8)

    def run(xq: np.ndarray, name: str) -> SimulationResult:
        return simulate(linear, xq, ENGINE, builds, SimulationSettings(watch=Watch.TOGGLES, watched=tmp_path / name))

    moving, still = run(busy, "busy"), run(np.zeros_like(busy), "still")
    assert (moving.acc == accumulate(linear, busy)).all()
    assert moving.cycles == still.cycles == simulate(linear, busy, ENGINE, builds).cycles
    toggles = {name: read_toggles(tmp_path / name) for name in ("busy", "still")}
    assert toggles["still"]["array"] < 0.8 * toggles["busy"]["array"]  # weights still pass by
    assert toggles["still"]["control"] < toggles["busy"]["control"]
