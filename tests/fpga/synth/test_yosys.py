"""Resource counts from Yosys."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmforge.core.errors import NmforgeError
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.synth.families.registry import REGISTRY
from nmforge.fpga.synth.yosys import synthesize

pytestmark = pytest.mark.rtl


def test_synthesis_counts_grow_with_the_array_and_the_window(tmp_path: Path) -> None:
    small = synthesize(Engine(4, 4, 1, 1, 64), "ecp5", tmp_path)
    wide = synthesize(Engine(4, 4, 1, 2, 64), "ecp5", tmp_path)
    dense = synthesize(Engine(1, 4, 1, 2, 64), "ecp5", tmp_path)
    assert small["dsp"] == wide["dsp"] == dense["dsp"] == 0
    assert small["lut"] < wide["lut"] < 2 * small["lut"]
    assert small["ff"] < wide["ff"]
    assert dense["lut"] < wide["lut"]


def test_luts_used_as_memory_count() -> None:
    count = REGISTRY.get("xcup").count
    cells = {"LUT3": 10, "LUT6": 5, "RAM32M16": 2, "SRL16E": 3, "FDRE": 7, "CARRY4": 4, "RAMB36E2": 9}
    assert count(cells) == {"lut": 10 + 5 + 2 * 8 + 3, "ff": 7, "dsp": 0}
    with pytest.raises(NmforgeError, match="xcup cell RAM256X1S has no LUT count"):
        count({"RAM256X1S": 1})


def test_an_unknown_family_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NmforgeError, match=r"fpga.targets: fpga family 'u280' is unknown; use one of ecp5, xcup"):
        synthesize(Engine(4, 4, 1, 1, 64), "u280", tmp_path)
