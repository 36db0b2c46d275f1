"""FPGA families: those there are, and one more by one new file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nmforge.core.registry import registry

pytestmark = pytest.mark.rtl

ICE40 = """
from nmforge.fpga.synth.families.registry import REGISTRY, FpgaFamily


def count(cells):
    registers = sum(number for name, number in cells.items() if name.startswith("SB_DFF"))
    return {"lut": cells.get("SB_LUT4", 0), "ff": registers, "dsp": cells.get("SB_MAC16", 0)}


REGISTRY.add(FpgaFamily("ice40", "Lattice iCE40", "synth_ice40", count))
"""
USE_BY_NAME = """
import json, sys
from pathlib import Path
import nmforge.fpga.synth.families as home
home.__path__.append(sys.argv[1])
from nmforge.core.registry import registry
from nmforge.config import FpgaConfig
FpgaConfig(targets=["ice40"])
names = registry("fpga_family").names()
slow = [name for name in ("torch", "pandas", "matplotlib") if name in sys.modules]
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.synth.yosys import synthesize
print(json.dumps([names, slow, synthesize(Engine(1, 4, 1, 1, 64), "ice40", Path(sys.argv[1]))]))
"""


def test_every_family_says_what_it_is() -> None:
    assert registry("fpga_family").names() == ["ecp5", "xcup"]
    assert all(family.summary for family in registry("fpga_family"))


def test_one_new_file_is_a_family_that_is_synthesized_for(tmp_path: Path) -> None:
    (tmp_path / "ice40.py").write_text(ICE40)
    done = subprocess.run([sys.executable, "-c", USE_BY_NAME, tmp_path], capture_output=True, text=True, check=True)
    names, slow, counts = json.loads(done.stdout)
    assert (names, slow) == (["ecp5", "ice40", "xcup"], [])
    assert counts["lut"] > 100 and counts["ff"] > 100 and counts["dsp"] == 0
