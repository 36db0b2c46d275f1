"""A layer through the netlists of a device: every sum equal, or the sentence that says how many are not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nmforge.artifact.format import write_artifact
from nmforge.core.compressed_linear import random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.fpga.points import netlists
from nmforge.fpga.points.netlists import NetlistSettings, check_netlist
from nmforge.fpga.sim.device import simulate_device

pytestmark = pytest.mark.rtl


def test_a_layer_through_the_netlists_of_a_device(
    tmp_path: Path, builds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linear = random_linear(np.random.default_rng(2), 9, 128, Pattern(2, 4), 4, 64)
    artifact, out = tmp_path / "a.nmf.safetensors", tmp_path / "netlist.json"
    settings = NetlistSettings("up", rows=4, cols=1, tokens=3, seed=1)
    write_artifact(artifact, {"design": {"id": "d"}}, {"up": linear}, {}, "offset")
    check_netlist(artifact, settings, builds, out)
    rows = json.loads(out.read_text())["rows"]
    found = [(row["backend"], row["compared"], row["mismatches"]) for row in rows]
    assert found == [("ecp5-synthesis", 27, 0), ("ecp5-route", 27, 0)]

    def off_by_one(*given: object, **more: object) -> object:
        result = simulate_device(*given, **more)  # type: ignore[arg-type]
        result.acc[2, 8] += 1
        return result

    monkeypatch.setattr(netlists, "simulate_device", off_by_one)
    with pytest.raises(NmforgeError, match="layer up: 1 of 27 sums of the netlist after synthesis differ"):
        check_netlist(artifact, settings, builds, tmp_path / "other.json")
