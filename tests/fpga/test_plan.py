"""The points of the fpga table that a config asks for."""

from __future__ import annotations

import pytest

from nmforge.config import Config, FpgaConfig
from nmforge.core.errors import NmforgeError
from nmforge.fpga.plan import planned_points, simulated_design, simulated_points

NOTHING = {"patterns": [], "builds": [], "baseline_bits": [], "targets": [], "routes": []}


def test_every_kind_of_point_has_its_name_and_command() -> None:
    fpga = FpgaConfig(
        builds=[4], baseline_bits=[3], targets=["xcup"], patterns=["2:4"],
        routes=[{"builds": [4], "rows": 8, "cols": 2, "seeds": 2}],
        random_layers=[{"engine": "gemv", "patterns": ["1:4"], "m": 1, "rates": [2, 2.5], "activity": True}],
        proofs=[{"patterns": ["1:2"], "window": 4}],
    )  # fmt: skip
    points = planned_points(fpga)
    assert list(points) == [
        "synthesis-gemm-4-int4-xcup", "synthesis-gemm-1-int3-xcup", "synthesis-gemv-4-int4-xcup",
        "synthesis-gemv-1-int3-xcup", "route-4-int4-8x2x1-seed1", "route-4-int4-8x2x1-seed2",
        "random-gemv-1of4-int4-1x64x2048-4x4x1", "formal-gemm-1of2-4-int4x1",
    ]  # fmt: skip
    assert points["synthesis-gemv-1-int3-xcup"].options.startswith("--engine gemv --window 1 --bits 3 --target xcup")
    assert "--seed 2" in points["route-4-int4-8x2x1-seed2"].options
    random = points["random-gemv-1of4-int4-1x64x2048-4x4x1"].options
    assert "--rates 2 2.5" in random and "--activity" in random and "--scale-sim" not in random
    assert points["formal-gemm-1of2-4-int4x1"].options.endswith("--window 4")
    assert points["synthesis-gemm-4-int4-xcup"].code == ("fpga synthesize", {"fpga_family": ["xcup"], "board": []})
    assert simulated_points(fpga) == {"rtl-2of4": "2:4"}


def test_two_points_of_one_name_are_refused() -> None:
    layers = [{"patterns": ["2:4"], "rates": [rate]} for rate in (1, 2)]
    with pytest.raises(NmforgeError, match="asks for random-gemm-2of4-int4-8x64x2048-4x4x1 twice"):
        planned_points(FpgaConfig(**NOTHING, random_layers=layers))


def test_a_pattern_is_simulated_on_the_last_int4_point_that_has_it() -> None:
    sparse = {"pattern": "2:4", "pruner": "wanda", "quantizer": "rtn", "bits": 4}
    designs = [{"id": "d"}, {"id": "a", **sparse}, {"id": "b", **sparse}, {"id": "c", "quantizer": "rtn", "bits": 3}]
    config = Config(model={"name": "toy", "source": "toy"}, text={"source": "c4"}, designs=designs)
    assert simulated_design(config, "2:4") == "b"
    with pytest.raises(NmforgeError, match="but no INT4 design point has that pattern"):
        simulated_design(config, "1:1")
