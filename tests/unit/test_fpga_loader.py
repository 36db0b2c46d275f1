"""The loader refuses weight streams whose offsets do not ascend inside a window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nmforge.errors import NmforgeError
from nmforge.fpga.engine import Engine
from nmforge.fpga.generate import activation_image, kept_weights, weight_image
from nmforge.fpga.simulate import Job, Stalls, build_simulator, run_simulator
from nmforge.linear import random_linear
from nmforge.spec import Pattern

ENGINE = Engine(4, 4, 2, 2, 32)
WINDOWS = 16  # K = 64


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_simulator(ENGINE, tmp_path_factory.mktemp("loader"))


def run_with_offsets(program: Path, window: int, pair: tuple[int, int], stall_percent: int) -> None:
    """Two channels, two tokens; channel 1 carries `pair` as the offsets of `window`."""
    rng = np.random.default_rng(3)
    kept = kept_weights(random_linear(rng, 2, 4 * WINDOWS, Pattern(2, 4), 4, 32), ENGINE)
    offsets = kept.offsets.copy()
    offsets[1, window] = pair
    image = weight_image(replace(kept, offsets=offsets), ENGINE)
    xq = rng.integers(-127, 128, (2, 4 * WINDOWS), dtype=np.int8)
    header = Job.of(ENGINE, kept, 2).header(Stalls(*[stall_percent] * 5), seed=1)
    run_simulator(program, header + image.tobytes() + activation_image(xq, ENGINE).tobytes())


@pytest.mark.parametrize("stall_percent", [0, 40])
@pytest.mark.parametrize("window", [0, 7, WINDOWS - 1])
@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("second", range(4))
def test_exactly_the_ascending_pairs_pass(
    program: Path, first: int, second: int, window: int, stall_percent: int
) -> None:
    if first < second:
        run_with_offsets(program, window, (first, second), stall_percent)
    else:
        with pytest.raises(NmforgeError, match=r"rejected the weight stream before step \d+: .* do not ascend"):
            run_with_offsets(program, window, (first, second), stall_percent)
