"""A timer that alternates its candidates, so that a drift of the machine reaches all of them alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median

MIN_SAMPLE_S = 0.003
WAKE_S = 0.004
MIN_SAMPLES, MAX_SAMPLES = 3, 60
QUIET_STEP_S = 0.011  # longer than a scheduler tick: the CPU time of a running thread is brought up to date at ticks
QUIET_SHARE, QUIET_STEPS = 0.2, 20
Clock = Callable[[], float]
Timed = Callable[[int], float]  # seconds of one call, over so many


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
    """Time each candidate for about `seconds`, a sample of each in turn, three samples at least.

    A sample is as many calls as last three milliseconds. Before it, `settle` (by default `wait_until_quiet`) lets the
    threads of the candidate before fall asleep, and four milliseconds of untimed calls wake this one's. A candidate
    that has an entry in `timed` is sampled, and woken, by that function instead of by this clock.
    """
    settle, timed = settle or wait_until_quiet, timed or {}

    def sample(name: str, calls: int, waking: float) -> float:
        if name in timed:
            return timed[name](calls)
        _call_for(waking, candidates[name], clock)
        return _sample(candidates[name], calls, clock)

    once = {name: _first(call, partial(sample, name, 1, 0.0), settle) for name, call in candidates.items()}
    calls = {name: max(1, math.ceil(MIN_SAMPLE_S / once[name])) for name in candidates}
    wanted = {
        name: _samples_within(seconds, once[name] * calls[name] + _waking(once[name]) + QUIET_STEP_S)
        for name in candidates
    }
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(max(wanted.values(), default=0)):
        for name in candidates:
            if turn < wanted[name]:
                settle()
                samples[name].append(sample(name, calls[name], _waking(once[name])))
    return {name: summarize(values) for name, values in samples.items()}


def wait_until_quiet() -> None:
    """Sleep until no thread of this process uses a core: those of a library spin for up to 50 ms behind a call and
    would take a core from the next candidate."""
    for _ in range(QUIET_STEPS):
        used = time.process_time()
        time.sleep(QUIET_STEP_S)
        if time.process_time() - used < QUIET_SHARE * QUIET_STEP_S:
            return


def summarize(seconds: list[float]) -> Timing:
    """Median and half the interquartile distance of some samples, in microseconds."""
    ordered = sorted(seconds)
    quarter = len(ordered) // 4
    spread = (ordered[len(ordered) - 1 - quarter] - ordered[quarter]) / 2
    return Timing(median(ordered) * 1e6, spread * 1e6, len(ordered))


def _first(call: Callable[[], object], sample: Callable[[], float], settle: Callable[[], object]) -> float:
    """Seconds of one call, behind one that warms up."""
    settle()
    call()
    return max(sample(), 1e-9)


def _waking(once: float) -> float:
    """Seconds of untimed calls: none where a single call takes so long that waking its threads costs nothing."""
    return WAKE_S if once < 20 * WAKE_S else 0.0


def _samples_within(seconds: float, lasts: float) -> int:
    return min(MAX_SAMPLES, max(MIN_SAMPLES, int(seconds / lasts)))


def _call_for(seconds: float, call: Callable[[], object], clock: Clock) -> None:
    """Call untimed until the seconds are over."""
    start = clock()
    while clock() - start < seconds:
        call()


def _sample(call: Callable[[], object], calls: int, clock: Clock) -> float:
    """Seconds per call."""
    start = clock()
    for _ in range(calls):
        call()
    return (clock() - start) / calls
