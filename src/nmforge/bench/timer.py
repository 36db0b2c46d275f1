"""A timer that alternates its candidates, so that a drift of the machine reaches all of them alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

MIN_SAMPLE_S = 0.003
SETTLE_S = 0.002  # library threads spin this long behind a call and would share the next candidate's cores
SLOW_S = 20 * SETTLE_S  # a call this long does not notice
MIN_SAMPLES, MAX_SAMPLES = 3, 60


@dataclass(frozen=True)
class Timing:
    """Median and spread (half the distance between the quartiles) of one call, microseconds, over `repeats` samples."""

    median_us: float
    spread_us: float
    repeats: int


def time_alternating(
    candidates: Mapping[str, Callable[[], object]],
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Time each candidate for about `seconds`, a sample of each in turn.

    A sample is as many calls as last at least three milliseconds, behind untimed calls of at least two: they wake the
    candidate's threads and let those of the one before fall asleep. A slow candidate needs no such calls, and gets
    three samples at least.
    """
    once = {name: _first(call, clock) for name, call in candidates.items()}
    calls = {name: max(1, math.ceil(MIN_SAMPLE_S / once[name])) for name in candidates}
    wanted = {name: _samples_within(seconds, once[name] * calls[name] + SETTLE_S) for name in candidates}
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(max(wanted.values(), default=0)):
        for name, call in candidates.items():
            if turn < wanted[name]:
                if once[name] < SLOW_S:
                    _settle(call, clock)
                samples[name].append(_sample(call, calls[name], clock))
    return {name: summarize(values) for name, values in samples.items()}


def summarize(seconds: list[float]) -> Timing:
    """Median and half the interquartile distance of some samples, in microseconds."""
    ordered = sorted(seconds)
    quarter = len(ordered) // 4
    spread = (ordered[len(ordered) - 1 - quarter] - ordered[quarter]) / 2
    return Timing(median(ordered) * 1e6, spread * 1e6, len(ordered))


def _first(call: Callable[[], object], clock: Callable[[], float]) -> float:
    """Seconds of one call, behind one that warms up."""
    call()
    return max(_sample(call, 1, clock), 1e-9)


def _samples_within(seconds: float, lasts: float) -> int:
    return min(MAX_SAMPLES, max(MIN_SAMPLES, int(seconds / lasts)))


def _settle(call: Callable[[], object], clock: Callable[[], float]) -> None:
    """Call untimed until the settling time is over."""
    start = clock()
    while clock() - start < SETTLE_S:
        call()


def _sample(call: Callable[[], object], calls: int, clock: Callable[[], float]) -> float:
    """Seconds per call."""
    start = clock()
    for _ in range(calls):
        call()
    return (clock() - start) / calls
