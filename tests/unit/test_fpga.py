"""The RTL against the NumPy reference, its closed form and its own inverse."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from nmforge.errors import NmforgeError
from nmforge.fpga.cycle_model import gemm_cycles
from nmforge.fpga.engine import TOP, Engine
from nmforge.fpga.generate import activation_image, kept_weights, read_activation_image, read_weight_image, weight_image
from nmforge.fpga.simulate import Stalls, simulate_gemm
from nmforge.fpga.synthesize import count_xcup, synthesize
from nmforge.fpga.toolchain import rtl_sources, run_verilator
from nmforge.linear import CompressedLinear, random_linear
from nmforge.reference import accumulate
from nmforge.spec import GemmShape, Pattern

STALLS = [
    Stalls(40, 40, 40, 40, 40),
    Stalls(code=97),
    Stalls(offsets=97),
    Stalls(mult=97),
    Stalls(act=97),
    Stalls(sink=97),
    Stalls(50, 90, 20, 70, 95),
]
PATTERNS = ["1:1", "2:2", "2:4", "1:4", "4:8"]


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rtl")


def problem(pattern: str, m: int, n: int, k: int, seed: int = 0) -> tuple[CompressedLinear, np.ndarray]:
    rng = np.random.default_rng(seed)
    stored = "1:1" if pattern == "2:2" else pattern
    linear = random_linear(rng, n, k, Pattern.parse(stored), 4, 32)
    xq = rng.integers(-127, 128, (m, k), dtype=np.int8)
    xq[0] = 127
    return linear, xq


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_sum_is_the_reference_and_every_cycle_is_foretold(builds: Path, pattern: str) -> None:
    engine = Pattern.parse(pattern)
    # the tiles of (3, 5, 32) and (9, 7, 32) are shorter than the tail: the result slots hold the array back
    for m, n, k in [(1, 1, 32), (3, 5, 32), (9, 7, 32), (3, 5, 96), (4, 2, 640)]:
        linear, xq = problem(pattern, m, n, k)
        calm = simulate_gemm(linear, xq, 2, 2, builds, pattern=engine)
        assert (calm.acc == accumulate(linear, xq)).all()
        assert calm.cycles == gemm_cycles(GemmShape(m, n, k), engine, 2, 2, 32)
        for seed, stalls in itertools.product(range(3), STALLS):
            stalled = simulate_gemm(linear, xq, 2, 2, builds, stalls, seed, engine)
            assert (stalled.acc == calm.acc).all()
            assert stalled.cycles >= calm.cycles


def test_extreme_sums(builds: Path) -> None:
    linear, xq = problem("2:4", 2, 2, 640)
    linear.codes[linear.keep_mask] = -8
    linear.group_mult[:] = 127
    xq[:] = np.array([[127], [-127]])
    assert simulate_gemm(linear, xq, 2, 2, builds).acc.tolist() == [
        [-8 * 127 * 127 * 320] * 2,
        [8 * 127 * 127 * 320] * 2,
    ]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_images_are_bijections(pattern: str) -> None:
    linear, xq = problem(pattern, 3, 5, 640)
    engine = Engine(Pattern.parse(pattern), 4, 2, 2, 32)
    kept = kept_weights(linear, engine)
    back = read_weight_image(weight_image(kept, engine), engine, linear.n, 20)
    assert (back.codes == kept.codes).all()
    assert (back.offsets == kept.offsets).all()
    assert (back.mult == kept.mult).all()
    assert (read_activation_image(activation_image(xq, engine), 3) == xq).all()


@pytest.mark.parametrize("pattern", ["1:1", "2:4"])
def test_rtl_is_lint_clean(tmp_path: Path, pattern: str) -> None:
    engine = Engine(Pattern.parse(pattern), 4, 4, 4, 64)
    parameters = [f"-G{name}={value}" for name, value in engine.parameters.items()]
    files = [str(path) for path in rtl_sources()]
    run_verilator(["--lint-only", "-Wall", "--top-module", TOP, *parameters, *files], tmp_path)


def test_synthesis_counts_grow_with_the_array(tmp_path: Path) -> None:
    small = synthesize(Engine(Pattern(2, 4), 4, 1, 1, 64), "ecp5", tmp_path)
    wide = synthesize(Engine(Pattern(2, 4), 4, 1, 2, 64), "ecp5", tmp_path)
    assert small["dsp"] == wide["dsp"] == 0
    assert small["lut"] < wide["lut"] < 2 * small["lut"]
    assert small["ff"] < wide["ff"]


def test_luts_used_as_memory_count() -> None:
    cells = {"LUT3": 10, "LUT6": 5, "RAM32M16": 2, "SRL16E": 3, "FDRE": 7, "CARRY4": 4}
    assert count_xcup(cells) == {"lut": 10 + 5 + 2 * 8 + 3, "ff": 7, "dsp": 0}
    with pytest.raises(NmforgeError, match="xcup cell RAM256X1S has no LUT count"):
        count_xcup({"RAM256X1S": 1})


def test_sentences(tmp_path: Path) -> None:
    with pytest.raises(NmforgeError, match=r"cols = 9 breaks the no-stall rule .* use at most 8 columns"):
        Engine(Pattern(2, 4), 4, 4, 9, 64)
    with pytest.raises(NmforgeError, match=r"fpga.targets: 'u280' is unknown"):
        synthesize(Engine(Pattern(2, 4), 4, 1, 1, 64), "u280", tmp_path)


def test_the_widest_engine_is_the_last_one_that_keeps_the_no_stall_rule() -> None:
    assert Engine.widest(Pattern(2, 4), 4, 4, 4, 64).cols == 4
    assert Engine.widest(Pattern(8, 16), 4, 4, 4, 64).cols == 2
    with pytest.raises(NmforgeError, match="cols = 3 breaks the no-stall rule"):
        Engine(Pattern(8, 16), 4, 4, 3, 64)
    with pytest.raises(NmforgeError, match="cols = 1 breaks the no-stall rule"):
        Engine.widest(Pattern(8, 16), 4, 4, 4, 16)
