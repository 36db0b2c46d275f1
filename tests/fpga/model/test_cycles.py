"""The closed form against the cycles of the RTL, over random arrays, patterns and shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmforge.core.compressed_linear import random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import GemmShape, Pattern
from nmforge.core.reference import accumulate
from nmforge.fpga.model.cycles import engine_cycles
from nmforge.fpga.model.engine import Engine, Kind
from nmforge.fpga.sim.device import simulate_device
from nmforge.fpga.sim.engine import simulate

pytestmark = pytest.mark.rtl

BUILDS, SHAPES = 6, 18  # of each kind of engine, and on each build: 324 runs in all
DEPTH = 8192  # rows of a device's banks, which hold the largest shapes
PATTERNS = [Pattern(1, 1), Pattern(1, 2), Pattern(2, 4), Pattern(1, 4), Pattern(4, 8), Pattern(2, 8), Pattern(1, 8)]


def random_engine(rng: np.random.Generator, kind: Kind) -> Engine:
    """An array of 1x1 to 6x5, a device of 4, 8 or 16 rows, that runs dense layers without a stall."""
    while True:
        window, lanes, group = (int(rng.choice(choice)) for choice in ([1, 2, 4, 8], [1, 1, 2], [16, 32, 64]))
        rows, cols = int(rng.choice([4, 8, 16]) if kind == "device" else rng.integers(1, 7)), int(rng.integers(1, 6))
        try:
            engine = Engine(window, int(rng.choice([3, 4, 8])), rows, cols, group, lanes, kind, DEPTH)
            engine.keep(Pattern(1, 1))
        except NmforgeError:
            continue
        return engine


def runs(engine: Engine, pattern: Pattern) -> bool:
    """Whether this build takes the pattern without a stall."""
    try:
        return engine.keep(pattern) > 0
    except NmforgeError:
        return False


@pytest.mark.parametrize("number", range(BUILDS))
@pytest.mark.parametrize("kind", ["gemm", "gemv", "device"])
def test_the_closed_form_is_exact_on_random_shapes(builds: Path, kind: Kind, number: int) -> None:
    rng = np.random.default_rng([number, ["gemm", "gemv", "device"].index(kind)])
    engine = random_engine(rng, kind)
    fitting = [pattern for pattern in PATTERNS if runs(engine, pattern)]
    for _ in range(SHAPES):
        pattern = fitting[rng.integers(len(fitting))]
        # one to a few tiles of one to many groups: tiles shorter and longer than the tail of an array or than a load
        m, n = int(rng.integers(1, 3 * engine.tokens + 1)), int(rng.integers(1, 4 * engine.channels + 1))
        k = engine.group * int(2 ** rng.uniform(0, 5))
        linear = random_linear(rng, n, k, pattern, engine.bits, engine.group)
        xq = rng.integers(-127, 128, (m, k), dtype=np.int8)
        found = (simulate_device if kind == "device" else simulate)(linear, xq, engine, builds)
        assert (found.acc == accumulate(linear, xq)).all()
        assert found.cycles == engine_cycles(GemmShape(m, n, k), engine, pattern), (engine, pattern, m, n, k)
