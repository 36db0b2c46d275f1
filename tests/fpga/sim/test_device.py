"""The device in simulation: loads, multiplies and sends what the reference says, job after job."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories.rtl_problems import problem

from nmforge.core.errors import NmforgeError
from nmforge.core.reference import accumulate
from nmforge.fpga.images.weight_image import kept_weights
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.sim.device import DeviceJob, DeviceStalls, simulate_device, simulate_jobs
from nmforge.fpga.sim.verilator import build_simulator

pytestmark = pytest.mark.rtl


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
    jobs = [DeviceJob(engine, kept_weights(linear, engine), xq) for linear, xq in problems]
    found = simulate_jobs(jobs, build_simulator(engine, builds), stalls)
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


def test_a_layer_deeper_than_the_banks_is_refused(tmp_path: Path) -> None:
    linear, xq = problem("2:4", 1, 8, 4096, group=64)
    with pytest.raises(NmforgeError, match=r"banks of 1024 rows do not hold 2048 steps .* depth 2048"):
        simulate_device(linear, xq, Engine(4, 4, 8, 2, 64, kind="device", depth=1024), tmp_path)
