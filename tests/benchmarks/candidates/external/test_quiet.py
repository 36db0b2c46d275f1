"""Waiting for threads to sleep, which the timer and the server of external libraries do alike."""

from __future__ import annotations

import itertools

import pytest

from nmforge.benchmarks.candidates.external.quiet import QUIET_STEP_S, QUIET_STEPS, wait_until_quiet


def test_quiet_waits_for_the_threads_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    used, slept = iter([0.0, 0.011, 0.011, 0.019, 0.019, 0.020]), []  # a step at full use, one at 0.7, one at 0.1
    monkeypatch.setattr("nmforge.benchmarks.candidates.external.quiet.time.process_time", lambda: next(used))
    monkeypatch.setattr("nmforge.benchmarks.candidates.external.quiet.time.sleep", slept.append)
    wait_until_quiet()
    assert slept == [QUIET_STEP_S] * 3


def test_quiet_gives_up_on_a_thread_that_never_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, slept = itertools.count(), []
    monkeypatch.setattr("nmforge.benchmarks.candidates.external.quiet.time.process_time", lambda: float(next(clock)))
    monkeypatch.setattr("nmforge.benchmarks.candidates.external.quiet.time.sleep", slept.append)
    wait_until_quiet()
    assert len(slept) == QUIET_STEPS
