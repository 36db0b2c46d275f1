"""The benchmark: rows it writes, points it plans, copies it cycles through, and the timer on a clock of its own."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nmforge.benchmarks import caches, shapes
from nmforge.benchmarks.kernels import plan, run_bench
from nmforge.benchmarks.registry import HERE, KERNELS
from nmforge.benchmarks.timer import (
    MAX_SAMPLES,
    QUIET_STEP_S,
    QUIET_STEPS,
    summarize,
    time_alternating,
    wait_until_quiet,
)
from nmforge.core.errors import NmforgeError

COLUMNS = {
    "kernel", "family", "pattern", "bits", "group_size", "stage", "device", "isa", "threads", "m", "n", "k", "cache",
    "copies", "median_us", "spread_us", "repeats", "weight_bytes", "run_id",
}  # fmt: skip


class FakeClock:
    """Seconds that pass only when a candidate is called."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def settle(self) -> None:
        self.now += 0.05

    def candidate(self, name: str, seconds: float):  # type: ignore[no-untyped-def]
        def call() -> None:
            self.now += seconds
            self.log.append(name)

        return call


def test_timer_measures_and_alternates() -> None:
    clock = FakeClock()
    candidates = {"fast": clock.candidate("fast", 1e-4), "slow": clock.candidate("slow", 0.5)}
    timings = time_alternating(candidates, 0.1, lambda: clock.now, clock.settle)
    assert timings["fast"].median_us == pytest.approx(100) and timings["fast"].spread_us == pytest.approx(0, abs=1e-6)
    assert timings["slow"].median_us == pytest.approx(500_000) and timings["slow"].repeats == 3
    assert timings["fast"].repeats == int(0.1 / (0.003 + 0.004 + 0.011))
    assert clock.log.count("slow") == 5  # warm-up, calibration, three samples
    first, last = clock.log.index("slow", 4), len(clock.log) - 1 - clock.log[::-1].index("slow")
    assert "fast" in clock.log[first:last]


def test_a_candidate_of_another_process_is_timed_there() -> None:
    clock = FakeClock()
    asked: list[int] = []

    def timed(calls: int) -> float:
        asked.append(calls)
        clock.log.append("there")
        clock.now += 100.0  # this clock has nothing to say about it
        return 2e-3

    candidates = {"here": clock.candidate("here", 0.5), "there": clock.candidate("there", 1.0)}
    timings = time_alternating(candidates, 0.1, lambda: clock.now, clock.settle, {"there": timed})
    assert timings["there"].median_us == pytest.approx(2000) and timings["here"].median_us == pytest.approx(500_000)
    assert asked == [1] + [2] * int(0.1 / (2 * 2e-3 + 0.004 + 0.011))  # once, then samples of three milliseconds
    assert clock.log.count("there") == 1 + len(asked)  # its first call is the only one made from here
    assert clock.log[4:8] == ["here", "there", "here", "there"]


def test_timer_caps_the_samples() -> None:
    clock = FakeClock()
    assert (
        time_alternating({"a": clock.candidate("a", 1e-3)}, 10, lambda: clock.now, clock.settle)["a"].repeats
        == MAX_SAMPLES
    )


def test_quiet_waits_for_the_threads_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    used, slept = iter([0.0, 0.011, 0.011, 0.019, 0.019, 0.020]), []  # a step at full use, one at 0.7, one at 0.1
    monkeypatch.setattr("nmforge.benchmarks.timer.time.process_time", lambda: next(used))
    monkeypatch.setattr("nmforge.benchmarks.timer.time.sleep", slept.append)
    wait_until_quiet()
    assert slept == [QUIET_STEP_S] * 3


def test_quiet_gives_up_on_a_thread_that_never_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, slept = itertools.count(), []
    monkeypatch.setattr("nmforge.benchmarks.timer.time.process_time", lambda: float(next(clock)))
    monkeypatch.setattr("nmforge.benchmarks.timer.time.sleep", slept.append)
    wait_until_quiet()
    assert len(slept) == QUIET_STEPS


def test_summary_is_median_and_half_the_quartile_distance() -> None:
    timing = summarize([5e-6, 1e-6, 3e-6, 2e-6, 100e-6])
    assert (timing.median_us, timing.repeats) == (pytest.approx(3), 5)
    assert timing.spread_us == pytest.approx((5 - 2) / 2)


def test_last_level_cache(tmp_path: Path) -> None:
    for index, size in enumerate(["32K", "512K", "32M"]):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        (folder / "size").write_text(size + "\n")
    assert caches.last_level_cache(tmp_path) == 32 * 2**20
    with pytest.raises(NmforgeError, match="lists no cache"):
        caches.last_level_cache(tmp_path / "nowhere")


def test_copies_exceed_the_cache_and_keep_to_the_cap() -> None:
    mib = 2**20
    assert caches.copies_for("resident", mib, 32 * mib) == 1
    assert caches.copies_for("streamed", 10 * mib, 32 * mib) == 20
    assert caches.copies_for("streamed", 64 * mib, 8 * mib) == 2
    assert caches.copies_for("streamed", 400 * mib, 32 * mib) is None
    assert caches.why_not_streamed(100 * mib) is None
    assert "a last-level cache of 480 MiB holds a part" in str(caches.why_not_streamed(480 * mib))


def test_llama_shapes_are_planned_once() -> None:
    points = plan([(4096, 4096)], [1, 16], tuple(KERNELS), caches.CACHES, True)
    assert len(points) == 6
    assert [(p.shape.n, p.shape.k) for p in points[4:]] == [(11008, 4096), (4096, 11008)]
    assert all(p.kernels == shapes.LLAMA7B_KERNELS and p.cache == "streamed" for p in points[4:])
    alone = plan([], [1], tuple(KERNELS), caches.CACHES, True)
    assert [(p.shape.n, p.shape.k) for p in alone] == [(4096, 4096), (11008, 4096), (4096, 11008)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_nothing_that_can_be_measured_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        NmforgeError, match="none of the kernels can be measured here: gpu-torch-fp16: torch finds no CUDA"
    ):
        run_bench([(64, 128)], [1], [1], tmp_path / "out", kernels=["gpu-torch-fp16"], llama7b=False)
    assert not (tmp_path / "out").exists()


def test_group_sizes() -> None:
    assert [shapes.bench_group_size(k) for k in (4096, 576, 100)] == [128, 64, 100]


def test_rows(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    rows = run_bench([(48, 192)], [1, 4], [1, 2], out, seconds=0.001, llama7b=False, caches=("resident",))
    assert json.loads(out.read_text())["rows"] == rows
    here = [name for name in HERE if not KERNELS[name].on_gpu]
    cpu = [row for row in rows if not str(row["device"]).startswith("cuda")]
    assert [(row["kernel"], row["m"], row["threads"]) for row in cpu] == [
        (name, m, threads)
        for m in (1, 4)
        for threads in (1, 2)
        for name in here
        if m == 1 or KERNELS[name].stage != "read"
    ]
    assert all(set(row) == COLUMNS and row["median_us"] > 0 and row["repeats"] >= 3 for row in rows)  # type: ignore[operator]
    assert {row["run_id"] for row in rows} == {rows[0]["run_id"]}


def test_streamed_rows_cycle_through_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmforge.benchmarks.kernels.last_level_cache", lambda: 100_000)
    names = ["torch-fp32", "ours-dense-int4", "onnxruntime-int4"]
    rows = run_bench([(48, 192)], [1], [1], tmp_path / "b.json", kernels=names, caches=("streamed",), seconds=0.001,
                     llama7b=False)  # fmt: skip
    assert [row["copies"] for row in rows] == [-(-600_000 // int(str(row["weight_bytes"]))) for row in rows]


def test_rows_of_another_process_hold_its_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = KERNELS["torch-fp32"]
    there = replace(torch, name="there", prepare=lambda task: replace(torch.prepare(task), timed=lambda runs: 5e-3))
    monkeypatch.setitem(KERNELS, "there", there)
    (row,) = run_bench([(48, 192)], [1], [1], tmp_path / "b.json", kernels=["there"], caches=("resident",),
                       seconds=0.001, llama7b=False)  # fmt: skip
    assert row["median_us"] == pytest.approx(5000)


def test_unknown_kernel(tmp_path: Path) -> None:
    with pytest.raises(NmforgeError, match="kernel 'cublas' is not in the table; choose from torch-fp32"):
        run_bench([(48, 192)], [1], [1], tmp_path / "b.json", kernels=["cublas"])
    assert not list(tmp_path.iterdir())
