"""Both cores in simulation against the NumPy reference and their closed form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories.rtl_problems import CASES, problem

from nmforge.core.errors import NmforgeError
from nmforge.core.formats import GemmShape
from nmforge.core.reference import accumulate
from nmforge.fpga.model.cycles import engine_cycles
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.model.memory import MemoryChannel
from nmforge.fpga.sim.engine import SimulationSettings, Stalls, simulate

pytestmark = pytest.mark.rtl

STALLS = [
    Stalls(40, 40, 40, 40, 40),
    Stalls(code=97),
    Stalls(offsets=97),
    Stalls(mult=97),
    Stalls(act=97),
    Stalls(sink=97),
    Stalls(50, 90, 20, 70, 95),
]


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
            stalled = simulate(linear, xq, engine, builds, SimulationSettings(stalls, seed=seed))
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
    for memory in (MemoryChannel(0.3), MemoryChannel(1.7, 40), MemoryChannel(2.5, 25, 300, 60), MemoryChannel(64, 200)):
        found = simulate(linear, xq, engine, builds, SimulationSettings(memory=memory))
        assert (found.acc == free.acc).all()
        assert found.cycles > free.cycles
        assert found.weight_bytes <= found.cycles * memory.sustained + 2 * 64 + memory.bytes_per_cycle * 300


def test_a_slow_memory_is_used_to_the_full_by_the_gemv_engine(builds: Path) -> None:
    linear, xq = problem("2:4", 1, 64, 2048)
    engine = Engine(4, 4, 2, 2, 32, kind="gemv")
    memory = MemoryChannel(2, 40, 780, 30)
    found = simulate(linear, xq, engine, builds, SimulationSettings(memory=memory))
    assert found.weight_bytes / found.cycles > 0.97 * memory.sustained


def test_a_token_longer_than_the_bank_of_the_gemv_engine(builds: Path) -> None:
    linear, xq = problem("1:1", 1, 2, 8192, group=64)
    engine = Engine(1, 4, 2, 1, 64, kind="gemv")
    with pytest.raises(NmforgeError, match="holds 4096 windows of a token, not 8192; build one with 2 lanes"):
        simulate(linear, xq, engine, builds)
    assert (simulate(linear, xq, replace(engine, lanes=2), builds).acc == accumulate(linear, xq)).all()


def test_settings_without_progress_are_refused(builds: Path) -> None:
    linear, xq = problem("2:4", 1, 2, 64)
    for settings, sentence in [
        (SimulationSettings(Stalls(offsets=100)), "100 % of stalls on stream offsets leave no progress; choose 0..99"),
        (
            SimulationSettings(memory=MemoryChannel(0, 60)),
            "of 0 bytes a cycle never delivers; use 1/256 or more",
        ),
        (SimulationSettings(memory=MemoryChannel(0.001)), "memory of 0.001 bytes a cycle never delivers"),
    ]:
        with pytest.raises(NmforgeError, match=sentence):
            simulate(linear, xq, Engine(4, 4, 2, 2, 32), builds, settings)
