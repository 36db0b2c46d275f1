"""SCALE-Sim next to the RTL: what it is asked, how its report is read, and the real one where it is installed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from nmforge.core.errors import NmforgeError
from nmforge.core.formats import DENSE, GemmShape, Pattern
from nmforge.fpga.sim import scale_sim
from nmforge.fpga.sim.scale_sim import FOLDER, scale_sim_cycles

pytestmark = pytest.mark.rtl

SHAPE = GemmShape(m=16, n=24, k=512)
HEADER = "LayerID, Total Cycles (incl. prefetch), Total Cycles, Stall Cycles, Overall Util,"


def installed(folder: Path, script: str) -> Path:
    """An environment whose python is a shell script."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return folder


def reporting(stalls: int, asked: Path) -> str:
    lines = f"{HEADER}\\n0, 999, 777, {stalls}, 9.5,\\n"
    return f"cp gemm.csv array.cfg {asked}; mkdir -p out/run; printf '{lines}' > out/run/COMPUTE_REPORT.csv"


def test_the_array_and_the_gemm_asked_for_are_those_of_the_engine(tmp_path: Path) -> None:
    folder = installed(tmp_path / "env", reporting(0, tmp_path))
    assert scale_sim_cycles(8, 4, Pattern(2, 4), SHAPE, folder) == 777  # without prefetch
    assert (tmp_path / "gemm.csv").read_text().splitlines()[1] == "gemm,16,24,512,2:4,"
    settings = (tmp_path / "array.cfg").read_text()
    assert "ArrayHeight = 4\nArrayWidth = 8" in settings  # tokens along its rows
    assert "SparsitySupport = true" in settings
    assert "Dataflow = os" in settings


def test_what_goes_wrong_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NmforgeError, match=r"SCALE-Sim is not installed in .*; install it with make scalesim"):
        scale_sim_cycles(8, 8, DENSE, SHAPE, tmp_path / "nowhere")
    with pytest.raises(NmforgeError, match="stalled 12 cycles on its memories; choose a smaller GEMM"):
        scale_sim_cycles(8, 8, DENSE, SHAPE, installed(tmp_path / "stalls", reporting(12, tmp_path)))
    with pytest.raises(
        NmforgeError, match=r"SCALE-Sim for .* on 8x4 failed \(exit status 1\): ValueError: no; choose a smaller GEMM"
    ):
        scale_sim_cycles(8, 4, DENSE, SHAPE, installed(tmp_path / "fails", "echo ValueError: no >&2; exit 1"))
    with pytest.raises(NmforgeError, match=r"on 8x8 wrote no report; install it again with make scalesim"):
        scale_sim_cycles(8, 8, DENSE, SHAPE, installed(tmp_path / "silent", "exit 0"))
    monkeypatch.setattr(scale_sim, "LIMIT_S", 0.1)
    with pytest.raises(NmforgeError, match=r"took more than 0\.1 s"):
        scale_sim_cycles(8, 8, DENSE, SHAPE, installed(tmp_path / "slow", "exec sleep 5"))


@pytest.mark.skipif(not FOLDER.exists(), reason="SCALE-Sim is not installed; make scalesim")
@pytest.mark.parametrize("pattern", ["1:1", "2:4"])
def test_the_real_one_fills_and_drains_every_tile(pattern: str) -> None:
    """Its tile takes its steps and rows + columns - 2 more; the RTL overlaps that with the next tile."""
    own = Pattern.parse(pattern)
    steps = 512 * own.keep // own.window
    assert scale_sim_cycles(8, 4, own, SHAPE) == 3 * 4 * (steps + 8 + 4 - 2) - 1
