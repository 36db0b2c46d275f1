"""The timer, on a clock of its own."""

from __future__ import annotations

import pytest

from nmforge.benchmarks.timer import MAX_SAMPLES, summarize, time_alternating


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


def test_the_few_samples_of_a_slow_candidate_are_spread_over_the_run() -> None:
    clock = FakeClock()
    candidates = {"fast": clock.candidate("fast", 3e-3), "slow": clock.candidate("slow", 0.06)}
    timings = time_alternating(candidates, 0.5, lambda: clock.now, clock.settle)
    assert 3 <= timings["slow"].repeats < timings["fast"].repeats / 2
    last = len(clock.log) - 1 - clock.log[::-1].index("slow")
    assert 0.6 < last / len(clock.log) < 1  # a machine that slows down slows both sides of a ratio


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


def test_summary_is_median_and_half_the_quartile_distance() -> None:
    timing = summarize([5e-6, 1e-6, 3e-6, 2e-6, 100e-6])
    assert (timing.median_us, timing.repeats) == (pytest.approx(3), 5)
    assert timing.spread_us == pytest.approx((5 - 2) / 2)
