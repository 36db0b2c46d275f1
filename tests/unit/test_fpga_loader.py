"""The loader refuses weight streams whose offsets do not ascend inside a window, and sends none of their sums."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nmforge.errors import NmforgeError
from nmforge.fpga.device import DeviceStalls, build_device, simulate_jobs
from nmforge.fpga.engine import Engine
from nmforge.fpga.generate import activation_image, kept_weights, weight_image
from nmforge.fpga.simulate import Job, Stalls, build_simulator, run_simulator
from nmforge.linear import random_linear
from nmforge.spec import Pattern

ENGINES = {
    "gemm": Engine(4, 4, 2, 2, 32),
    "gemv": Engine(4, 4, 2, 1, 32, kind="gemv"),
    "device": Engine(4, 4, 8, 2, 64, kind="device"),
}
WINDOWS = 32  # K = 128


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("loader")


def run_with_offsets(engine: Engine, builds: Path, window: int, pair: tuple[int, int], stall_percent: int) -> None:
    """Two tokens, channels of three tiles; channel 1 of the second one carries `pair` as the offsets of `window`."""
    rng = np.random.default_rng(3)
    linear = random_linear(rng, 3 * engine.channels, 4 * WINDOWS, Pattern(2, 4), 4, engine.group)
    kept = kept_weights(linear, engine)
    offsets = kept.offsets.copy()
    offsets[engine.channels + 1, window] = pair
    kept = replace(kept, offsets=offsets)
    xq = rng.integers(-127, 128, (2, 4 * WINDOWS), dtype=np.int8)
    if engine.kind == "device":
        simulate_jobs([(kept, xq)], engine, build_device(engine, builds), DeviceStalls(*[stall_percent] * 3), 1)
        return
    header = Job.of(engine, kept, 2).header(Stalls(*[stall_percent] * 5), seed=1)
    images = weight_image(kept, engine).tobytes() + activation_image(xq, engine).tobytes()
    run_simulator(build_simulator(engine, builds), header + images)


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("stall_percent", [0, 40])
@pytest.mark.parametrize("window", [0, 7, WINDOWS - 1])
@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("second", range(4))
def test_exactly_the_ascending_pairs_pass(
    builds: Path, kind: str, first: int, second: int, window: int, stall_percent: int
) -> None:
    if first < second:
        run_with_offsets(ENGINES[kind], builds, window, (first, second), stall_percent)
        return
    with pytest.raises(NmforgeError, match=r"rejected the weight stream within its .* do not ascend") as error:
        run_with_offsets(ENGINES[kind], builds, window, (first, second), stall_percent)
    sent = int(re.findall(r"(\d+) sums sent", str(error.value))[0])
    assert sent in (0, ENGINES[kind].channels * ENGINES[kind].tokens)  # the tile before, or none
    if window == WINDOWS - 1:
        assert sent
