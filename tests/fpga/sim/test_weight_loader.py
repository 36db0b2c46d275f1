"""The loader refuses weight streams whose offsets do not ascend inside a window, and sends none of their sums."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories.interrupted_jobs import InterruptedJob, simulate_after
from factories.rtl_problems import images

from nmforge.core.compressed_linear import CompressedLinear, Int8, random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.core.reference import accumulate
from nmforge.fpga.images.weight_image import KeptWeights, kept_weights
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.sim.device import DeviceJob, DeviceStalls, Stop, simulate_jobs
from nmforge.fpga.sim.engine import SimulationJob, SimulationSettings, Stalls, run_job
from nmforge.fpga.sim.verilator import build_simulator

pytestmark = pytest.mark.rtl

ENGINES = {
    "gemm": Engine(4, 4, 2, 2, 32),
    "gemv": Engine(4, 4, 2, 1, 32, kind="gemv"),
    "device": Engine(4, 4, 8, 2, 64, kind="device"),
}
WINDOWS = 32  # K = 128


def problem(engine: Engine, window: int, pair: tuple[int, int]) -> tuple[CompressedLinear, KeptWeights, Int8]:
    """Channels of three tiles, two tokens; in the weights kept channel 1 of the second tile carries `pair` as the
    offsets of `window`."""
    rng = np.random.default_rng(3)
    linear = random_linear(rng, 3 * engine.channels, 4 * WINDOWS, Pattern(2, 4), 4, engine.group)
    kept = kept_weights(linear, engine)
    offsets = kept.offsets.copy()
    offsets[engine.channels + 1, window] = pair
    return linear, replace(kept, offsets=offsets), rng.integers(-127, 128, (2, 4 * WINDOWS), dtype=np.int8)


def run(engine: Engine, builds: Path, kept: KeptWeights, xq: Int8, stall_percent: int) -> None:
    """One job through an engine; NmforgeError where it is rejected."""
    program = build_simulator(engine, builds)
    if engine.kind == "device":
        simulate_jobs([DeviceJob(engine, kept, xq)], program, DeviceStalls(*[stall_percent] * 3), 1)
        return
    settings = SimulationSettings(Stalls(*[stall_percent] * 5), seed=1)
    run_job(program, SimulationJob.for_engine(engine, kept, len(xq)), images(kept, xq, engine), settings)


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("stall_percent", [0, 40])
@pytest.mark.parametrize("window", [0, 7, WINDOWS - 1])
@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("second", range(4))
def test_exactly_the_ascending_pairs_pass(
    builds: Path, kind: str, first: int, second: int, window: int, stall_percent: int
) -> None:
    _, kept, xq = problem(ENGINES[kind], window, (first, second))
    if first < second:
        run(ENGINES[kind], builds, kept, xq, stall_percent)
        return
    with pytest.raises(NmforgeError, match=r"rejected the weight stream within its .* do not ascend") as error:
        run(ENGINES[kind], builds, kept, xq, stall_percent)
    sent = int(re.findall(r"(\d+) sums sent", str(error.value))[0])
    assert sent in (0, ENGINES[kind].channels * ENGINES[kind].tokens)  # the tile before, or none
    if window == WINDOWS - 1:
        assert sent


@pytest.mark.parametrize("stall_percent", [0, 40])
@pytest.mark.parametrize("window", [0, WINDOWS - 1])
def test_a_device_goes_on_after_a_rejected_job(builds: Path, window: int, stall_percent: int) -> None:
    engine = ENGINES["device"]
    linear, bad, xq = problem(engine, window, (2, 1))
    good = DeviceJob(engine, kept_weights(linear, engine), xq)
    rejected = [InterruptedJob(DeviceJob(engine, bad, xq))] * 2
    stalls = DeviceStalls(*[stall_percent] * 3)
    found = simulate_after(rejected, good, build_simulator(engine, builds), stalls, 1)
    np.testing.assert_array_equal(found.acc, accumulate(linear, xq))


@pytest.mark.parametrize("stall_percent", [0, 40])
@pytest.mark.parametrize(("words", "sums"), [(1, 0), (17, 0), (64, 0), (190, 0), (0, 1), (0, 9), (0, 16), (0, 40)])
def test_a_device_goes_on_after_an_abandoned_job(builds: Path, words: int, sums: int, stall_percent: int) -> None:
    engine = ENGINES["device"]
    linear, _, xq = problem(engine, 0, (0, 1))
    good = DeviceJob(engine, kept_weights(linear, engine), xq)
    stalls = DeviceStalls(*[stall_percent] * 3)
    abandoned = [InterruptedJob(replace(good, xq=-xq), Stop(words, sums))] * 3
    found = simulate_after(abandoned, good, build_simulator(engine, builds), stalls, 2)
    np.testing.assert_array_equal(found.acc, accumulate(linear, xq))


@pytest.mark.parametrize("kind", ["gemm", "device"])
def test_offsets_past_the_window_are_rejected_where_it_is_no_power_of_two(builds: Path, kind: str) -> None:
    engine = Engine(6, 4, 8, 2, 48, kind=kind)  # offsets of three bits, of which 6 and 7 name no weight
    linear = random_linear(np.random.default_rng(4), 8, 96, Pattern(2, 6), 4, 48)
    kept = kept_weights(linear, engine)
    xq = np.random.default_rng(5).integers(-127, 128, (2, 96), dtype=np.int8)
    for last, passes in [(5, True), (6, False), (7, False)]:
        offsets = kept.offsets.copy()
        offsets[1, 3] = (2, last)
        if passes:
            run(engine, builds, replace(kept, offsets=offsets), xq, 0)
            continue
        with pytest.raises(NmforgeError, match="rejected the weight stream"):
            run(engine, builds, replace(kept, offsets=offsets), xq, 0)
