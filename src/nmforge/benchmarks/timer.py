"""A timer that alternates its candidates, so that a drift of the machine affects all of them alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median

from nmforge.benchmarks.candidates.external.quiet import (
    QUIET_STEP_S,
    call_for,
    wait_until_quiet,
    waking_seconds,
)

MIN_SAMPLE_S = 0.003
MIN_SAMPLES, MAX_SAMPLES = 3, 60
Clock = Callable[[], float]
Timed = Callable[[int], float]  # seconds of one call, the mean of so many


@dataclass(frozen=True)
class Timing:
    """Median and spread (half the distance between the quartiles) of one call, microseconds, over `repeats` samples."""

    median_us: float
    spread_us: float
    repeats: int


def time_alternating(
    candidates: Mapping[str, Callable[[], object]],
    seconds: float,
    clock: Clock = time.perf_counter,
    settle: Callable[[], object] | None = None,
    timed: Mapping[str, Timed] | None = None,
) -> dict[str, Timing]:
    """Time each candidate for about `seconds`; samples alternate between the candidates, at least three of each.

    A sample is as many calls as last three milliseconds. The samples of a slow candidate are spread over all turns, so
    that every candidate sees the whole run: a machine whose memory drifts would otherwise be fast for one side of a
    ratio and slow for the other. Before a sample, `settle` (by default `wait_until_quiet`) lets the threads of the
    previous candidate fall asleep, and four milliseconds of untimed calls wake this one's. A candidate that has an
    entry in `timed` is sampled, and woken, by that function instead of by this clock.
    """
    settle, timed = settle or wait_until_quiet, timed or {}

    def sample(name: str, calls: int, waking: float) -> float:
        if name in timed:
            return timed[name](calls)
        call_for(waking, candidates[name], clock)
        return _sample(candidates[name], calls, clock)

    once = {name: _first(call, partial(sample, name, 1, 0.0), settle) for name, call in candidates.items()}
    calls = {name: max(1, math.ceil(MIN_SAMPLE_S / once[name])) for name in candidates}
    wanted = {
        name: _samples_within(seconds, once[name] * calls[name] + waking_seconds(once[name]) + QUIET_STEP_S)
        for name in candidates
    }
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    turns = max(wanted.values(), default=0)
    for turn in range(turns):
        for name in candidates:
            if _due(turn, wanted[name], turns):
                settle()
                samples[name].append(sample(name, calls[name], waking_seconds(once[name])))
    return {name: summarize(values) for name, values in samples.items()}


def _due(turn: int, wanted: int, turns: int) -> bool:
    """Whether a candidate is sampled in this turn: `wanted` times in all, from turn 0 on, as evenly as it goes."""
    return -(-(turn + 1) * wanted // turns) > -(-turn * wanted // turns)


def summarize(seconds: list[float]) -> Timing:
    """Median and half the interquartile distance of some samples, in microseconds."""
    ordered = sorted(seconds)
    quarter = len(ordered) // 4
    spread = (ordered[len(ordered) - 1 - quarter] - ordered[quarter]) / 2
    return Timing(median(ordered) * 1e6, spread * 1e6, len(ordered))


def _first(call: Callable[[], object], sample: Callable[[], float], settle: Callable[[], object]) -> float:
    """Seconds of one call, after one that warms up."""
    settle()
    call()
    return max(sample(), 1e-9)


def _samples_within(seconds: float, lasts: float) -> int:
    return min(MAX_SAMPLES, max(MIN_SAMPLES, int(seconds / lasts)))


def _sample(call: Callable[[], object], calls: int, clock: Clock) -> float:
    """Seconds per call."""
    start = clock()
    for _ in range(calls):
        call()
    return (clock() - start) / calls
