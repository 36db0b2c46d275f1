"""A timer that alternates its candidates, so that a drift of the machine reaches all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

MIN_SAMPLE_S = 0.002
MIN_SAMPLES, MAX_SAMPLES = 3, 60


@dataclass(frozen=True)
class Timing:
    """Median and spread (half the distance between the quartiles) of one call in microseconds, over `repeats` samples."""

    median_us: float
    spread_us: float
    repeats: int


def time_alternating(
    candidates: Mapping[str, Callable[[], object]],
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Time each candidate for about `seconds`, a sample of each in turn.

    A sample is as many calls as last at least two milliseconds, behind one untimed call that wakes the candidate's
    threads. A slow candidate gets three samples at least, however long they take.
    """
    calls, wanted = {}, {}
    for name, call in candidates.items():
        call()
        once = max(_sample(call, 1, clock), 1e-9)
        calls[name] = max(1, round(MIN_SAMPLE_S / once))
        lasts = once * (calls[name] + 1)
        wanted[name] = min(MAX_SAMPLES, max(MIN_SAMPLES, int(seconds / lasts)))
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(max(wanted.values(), default=0)):
        for name, call in candidates.items():
            if turn < wanted[name]:
                call()
                samples[name].append(_sample(call, calls[name], clock))
    return {name: summarize(values) for name, values in samples.items()}


def summarize(seconds: list[float]) -> Timing:
    """Median and half the interquartile distance of some samples, in microseconds."""
    ordered = sorted(seconds)
    quarter = len(ordered) // 4
    spread = (ordered[len(ordered) - 1 - quarter] - ordered[quarter]) / 2
    return Timing(median(ordered) * 1e6, spread * 1e6, len(ordered))


def _sample(call: Callable[[], object], calls: int, clock: Callable[[], float]) -> float:
    """Seconds per call."""
    start = clock()
    for _ in range(calls):
        call()
    return (clock() - start) / calls
