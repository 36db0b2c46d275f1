"""The RTL against the NumPy reference, its closed form and its own inverse."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmforge.core.compressed_linear import CompressedLinear, random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import GemmShape, Pattern
from nmforge.core.reference import accumulate
from nmforge.fpga.images.weight_image import (
    activation_image,
    kept_weights,
    read_activation_image,
    read_weight_image,
    weight_image,
)
from nmforge.fpga.model.cycles import engine_cycles
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.sim.device import DeviceStalls, build_device, simulate_device, simulate_jobs
from nmforge.fpga.sim.engine import Memory, Stalls, simulate
from nmforge.fpga.sources import rtl_sources, run_verilator
from nmforge.fpga.synth.yosys import count_xcup, synthesize

STALLS = [
    Stalls(40, 40, 40, 40, 40),
    Stalls(code=97),
    Stalls(offsets=97),
    Stalls(mult=97),
    Stalls(act=97),
    Stalls(sink=97),
    Stalls(50, 90, 20, 70, 95),
]
# (windows of the build, lanes, bits) and what runs on it without another build
BUILDS = [
    (1, 1, 4, ["1:1"]),
    (4, 1, 4, ["1:1", "1:2", "3:4", "2:4", "1:4"]),
    (8, 1, 4, ["1:1", "1:2", "2:4", "1:4", "4:8", "2:8", "1:8"]),
    (16, 1, 4, ["8:16", "2:16"]),
    (4, 2, 4, ["1:1", "2:4"]),
    (4, 1, 3, ["1:1", "2:4"]),
    (2, 1, 8, ["1:1", "1:2"]),
    (6, 1, 2, ["2:6"]),
]
CASES = [(window, lanes, bits, pattern) for window, lanes, bits, patterns in BUILDS for pattern in patterns]


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rtl")


def problem(
    pattern: str, m: int, n: int, k: int, bits: int = 4, group: int = 32
) -> tuple[CompressedLinear, np.ndarray]:
    rng = np.random.default_rng(0)
    linear = random_linear(rng, n, k, Pattern.parse(pattern), bits, group)
    xq = rng.integers(-127, 128, (m, k), dtype=np.int8)
    xq[0], xq[-1] = 127, -127
    return linear, xq


@pytest.mark.parametrize("kind", ["gemm", "gemv"])
@pytest.mark.parametrize(("window", "lanes", "bits", "pattern"), CASES)
def test_every_sum_is_the_reference_and_every_cycle_is_foretold(
    builds: Path, kind: str, window: int, lanes: int, bits: int, pattern: str
) -> None:
    group = 96 if window == 6 else 32
    engine = Engine(window, bits, 2, 2, group, lanes, kind)
    # in the tiles of (3, 5) and (9, 7) the sums of the tile before hold the array back
    for m, n, k in [(1, 1, group), (3, 5, group), (9, 7, group), (3, 5, 3 * group), (4, 2, 20 * group)]:
        linear, xq = problem(pattern, m, n, k, bits, group)
        expected = accumulate(linear, xq)
        calm = simulate(linear, xq, engine, builds)
        assert (calm.acc == expected).all()
        assert calm.cycles == engine_cycles(GemmShape(m, n, k), engine, linear.pattern)
        for seed, stalls in enumerate(STALLS if (m, pattern) == (3, "2:4") else STALLS[:1]):
            stalled = simulate(linear, xq, engine, builds, stalls, seed=seed)
            assert (stalled.acc == expected).all()
            assert stalled.cycles >= calm.cycles


@pytest.mark.parametrize("kind", ["gemm", "gemv"])
@pytest.mark.parametrize("bits", [3, 4, 8])
def test_every_code_times_the_largest_activations(builds: Path, kind: str, bits: int) -> None:
    """All codes of the range in one group, at both ends of the activations, one group at its own largest sum."""
    engine = Engine(2, bits, 2, 2, 32, kind=kind)
    linear, xq = problem("1:1", 4, 16, 128, bits)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    every = np.resize(np.arange(low, high + 1), linear.codes.shape)
    linear.codes[:] = every
    linear.codes[:2, :32] = low
    linear.codes[2:4, 32:64] = high
    linear.group_mult[:] = 127
    xq[:] = np.array([[127], [-127], [1], [-1]])
    assert (simulate(linear, xq, engine, builds).acc == accumulate(linear, xq)).all()


def test_extreme_sums(builds: Path) -> None:
    linear, xq = problem("2:4", 2, 2, 640)
    linear.codes[linear.keep_mask] = -8
    linear.group_mult[:] = 127
    xq[:] = np.array([[127], [-127]])
    assert simulate(linear, xq, Engine(4, 4, 2, 2, 32), builds).acc.tolist() == [
        [-8 * 127 * 127 * 320] * 2,
        [8 * 127 * 127 * 320] * 2,
    ]


@pytest.mark.parametrize("kind", ["gemm", "gemv"])
def test_memory_costs_cycles_and_no_bits(builds: Path, kind: str) -> None:
    linear, xq = problem("2:4", 3, 24, 640)
    engine = Engine(4, 4, 2, 2, 32, kind=kind)
    free = simulate(linear, xq, engine, builds)
    for memory in (Memory(0.3), Memory(1.7, 40), Memory(2.5, 25, 300, 60), Memory(64, 200)):
        found = simulate(linear, xq, engine, builds, memory=memory)
        assert (found.acc == free.acc).all()
        assert found.cycles > free.cycles
        assert found.weight_bytes <= found.cycles * memory.sustained + 2 * 64 + memory.bytes_per_cycle * 300


def test_a_slow_memory_is_used_to_the_full_by_the_gemv_engine(builds: Path) -> None:
    linear, xq = problem("2:4", 1, 64, 2048)
    engine = Engine(4, 4, 2, 2, 32, kind="gemv")
    memory = Memory(2, 40, 780, 30)
    found = simulate(linear, xq, engine, builds, memory=memory)
    assert found.weight_bytes / found.cycles > 0.97 * memory.sustained


@pytest.mark.parametrize(
    ("window", "pattern"), [(1, "1:1"), (4, "2:4"), (4, "1:4"), (4, "1:1"), (8, "2:8"), (8, "2:4")]
)
def test_the_device_loads_computes_and_sends_what_the_reference_says(builds: Path, window: int, pattern: str) -> None:
    engine = Engine(window, 4, 8, 2, 64, kind="device")
    rates = [DeviceStalls(), DeviceStalls(60, 30, 50), DeviceStalls(act=95), DeviceStalls(sink=97)]
    # (1, 80) with a slow sink fills both weight buffers and asks for a third; slow activations leave steps waiting
    for m, n, k in [(1, 1, 64), (1, 80, 64), (5, 17, 192), (4, 8, 640)]:
        linear, xq = problem(pattern, m, n, k, group=64)
        expected = accumulate(linear, xq)
        for seed, stalls in enumerate(rates):
            assert (simulate_device(linear, xq, engine, builds, stalls, seed).acc == expected).all()


@pytest.mark.parametrize("stalls", [DeviceStalls(), DeviceStalls(30, 30, 30)])
def test_one_device_runs_pattern_after_pattern(builds: Path, stalls: DeviceStalls) -> None:
    """Each job leaves nothing behind: sums and cycles are those of the job alone."""
    engine = Engine(4, 4, 8, 2, 64, kind="device")
    order = [("2:4", 5, 17, 192), ("1:4", 3, 8, 64), ("1:1", 1, 9, 128), ("1:2", 4, 8, 640), ("2:4", 5, 17, 192)]
    problems = [problem(pattern, m, n, k, group=64) for pattern, m, n, k in order]
    jobs = [(kept_weights(linear, engine), xq) for linear, xq in problems]
    found = simulate_jobs(jobs, engine, build_device(engine, builds), stalls)
    for (linear, xq), result in zip(problems, found, strict=True):
        assert (result.acc == accumulate(linear, xq)).all()
        alone = simulate_device(linear, xq, engine, builds, stalls)
        assert (result.cycles, result.counted) == (alone.cycles, alone.counted)


def test_the_cycles_register_counts_from_the_first_word_to_the_last_sum(builds: Path) -> None:
    engine = Engine(4, 4, 8, 2, 64, kind="device")
    for m, n, k in [(1, 1, 64), (5, 17, 192)]:
        found = simulate_device(*problem("2:4", m, n, k, group=64), engine, builds)
        assert found.counted is not None
        assert 0 <= found.cycles - found.counted <= 12  # what the words and the sums need across the chip


def test_the_device_reuses_what_it_has_loaded(builds: Path) -> None:
    """Once a row tile takes longer to multiply than to load, loading costs nothing but the first tile."""
    engine = Engine(4, 4, 8, 2, 64, kind="device", depth=2048)
    linear, xq = problem("2:4", 16, 64, 512, group=64)
    found = simulate_device(linear, xq, engine, builds)
    loading = 512 * 16 * 8 // engine.act_bits
    assert found.ideal_cycles == 8 * 8 * 256
    assert found.cycles < found.ideal_cycles + loading + 8 * 8 * 4


@pytest.mark.parametrize("kind", ["gemm", "gemv", "device"])
@pytest.mark.parametrize(("window", "lanes", "bits", "pattern"), CASES)
def test_images_are_bijections(kind: str, window: int, lanes: int, bits: int, pattern: str) -> None:
    group = 96 if window == 6 else 32
    linear, xq = problem(pattern, 3, 5, 20 * group, bits, group)
    engine = Engine(window, bits, 8, 2, group, lanes, kind)
    kept = kept_weights(linear, engine)
    back = read_weight_image(weight_image(kept, engine), engine, linear.n, 20, kept.keep)
    assert (back.codes == kept.codes).all()
    assert (back.offsets == kept.offsets).all()
    assert (back.mult == kept.mult).all()
    assert (read_activation_image(activation_image(xq, engine), 3) == xq).all()


@pytest.mark.parametrize(("kind", "window"), list(itertools.product(["gemm", "gemv", "device"], [1, 4, 8, 16])))
def test_rtl_is_lint_clean(tmp_path: Path, kind: str, window: int) -> None:
    engine = Engine(window, 4, 8, 4, 64, kind=kind)
    parameters = [f"-G{name}={value}" for name, value in engine.parameters.items()]
    files = [str(path) for path in rtl_sources()]
    run_verilator(["--lint-only", "-Wall", "--top-module", engine.top, *parameters, *files], tmp_path)


def test_synthesis_counts_grow_with_the_array_and_the_window(tmp_path: Path) -> None:
    small = synthesize(Engine(4, 4, 1, 1, 64), "ecp5", tmp_path)
    wide = synthesize(Engine(4, 4, 1, 2, 64), "ecp5", tmp_path)
    dense = synthesize(Engine(1, 4, 1, 2, 64), "ecp5", tmp_path)
    assert small["dsp"] == wide["dsp"] == dense["dsp"] == 0
    assert small["lut"] < wide["lut"] < 2 * small["lut"]
    assert small["ff"] < wide["ff"]
    assert dense["lut"] < wide["lut"]


def test_luts_used_as_memory_count() -> None:
    cells = {"LUT3": 10, "LUT6": 5, "RAM32M16": 2, "SRL16E": 3, "FDRE": 7, "CARRY4": 4, "RAMB36E2": 9}
    assert count_xcup(cells) == {"lut": 10 + 5 + 2 * 8 + 3, "ff": 7, "dsp": 0}
    with pytest.raises(NmforgeError, match="xcup cell RAM256X1S has no LUT count"):
        count_xcup({"RAM256X1S": 1})


def test_sentences(tmp_path: Path) -> None:
    with pytest.raises(NmforgeError, match=r"cols = 17 breaks the no-stall rule .* use at most 16 columns"):
        Engine(4, 4, 4, 17, 64).keep(Pattern(2, 4))
    with pytest.raises(NmforgeError, match=r"selects from windows of 4, where 2:8 does not fit; build one with of = 8"):
        Engine(4, 4, 4, 4, 64).keep(Pattern(2, 8))
    with pytest.raises(NmforgeError, match=r"group_size 64 does not hold whole windows of 6"):
        Engine(6, 4, 4, 4, 64)
    with pytest.raises(NmforgeError, match=r"fpga.targets: 'u280' is unknown"):
        synthesize(Engine(4, 4, 1, 1, 64), "u280", tmp_path)
    linear, xq = problem("2:4", 1, 8, 4096, group=64)
    with pytest.raises(NmforgeError, match=r"banks of 1024 rows do not hold 2048 steps .* depth 2048"):
        simulate_device(linear, xq, Engine(4, 4, 8, 2, 64, kind="device", depth=1024), tmp_path)


def test_the_widest_engine_is_the_last_one_that_keeps_the_no_stall_rule() -> None:
    assert Engine.widest(Pattern(2, 4), 4, 4, 4, 64).cols == 4
    assert Engine.widest(Pattern(1, 16), 4, 4, 4, 64).cols == 2
    with pytest.raises(NmforgeError, match="cols = 3 breaks the no-stall rule"):
        Engine(16, 4, 4, 3, 64).keep(Pattern(1, 16))
    with pytest.raises(NmforgeError, match="cols = 1 breaks the no-stall rule"):
        Engine.widest(Pattern(1, 16), 4, 4, 4, 16)


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ({"cols": 33}, "cols = 33 breaks the no-stall rule .* for every pattern: .* use at most 32 columns"),
        ({"cols": 17, "lanes": 2}, "use at most 16 columns or a larger group"),
        ({"group": 512}, "group 512 is not one an engine is built for; cut it to 1..256"),
        ({"kind": "device", "depth": 65536}, "banks of 65536 rows are too deep; the registers count 32768"),
    ],
)
def test_what_no_engine_is_built_for(engine: dict[str, Any], message: str) -> None:
    with pytest.raises(NmforgeError, match=message):
        Engine(**{"window": 4, "bits": 4, "rows": 8, "cols": 2, "group": 64} | engine)


def test_a_token_longer_than_the_bank_of_the_gemv_engine(builds: Path) -> None:
    linear, xq = problem("1:1", 1, 2, 8192, group=64)
    engine = Engine(1, 4, 2, 1, 64, kind="gemv")
    with pytest.raises(NmforgeError, match="holds 4096 windows of a token, not 8192; build one with 2 lanes"):
        simulate(linear, xq, engine, builds)
    assert (simulate(linear, xq, replace(engine, lanes=2), builds).acc == accumulate(linear, xq)).all()
