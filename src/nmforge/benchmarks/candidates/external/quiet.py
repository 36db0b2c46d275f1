"""Threads that are awake when a sample begins, and asleep before the next candidate's: libraries let theirs spin."""

from __future__ import annotations

import time
from collections.abc import Callable

WAKE_S = 0.004  # of untimed calls before a sample
QUIET_STEP_S = 0.011  # longer than a scheduler tick: the CPU time of a running thread is brought up to date at ticks
QUIET_SHARE, QUIET_STEPS = 0.2, 20


def wait_until_quiet() -> None:
    """Sleep until no thread of this process uses a core.

    Those of a library spin for up to 50 ms after a call and would take a core from the next candidate.
    """
    for _ in range(QUIET_STEPS):
        used = time.process_time()
        time.sleep(QUIET_STEP_S)
        if time.process_time() - used < QUIET_SHARE * QUIET_STEP_S:
            return


def waking_seconds(one_call: float) -> float:
    """Seconds of untimed calls before a sample; 0 for a call so long that waking its threads costs nothing."""
    return WAKE_S if one_call < 20 * WAKE_S else 0.0


def call_for(seconds: float, call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> None:
    """Call untimed until the seconds are over."""
    start = clock()
    while clock() - start < seconds:
        call()
