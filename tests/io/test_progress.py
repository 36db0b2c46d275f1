"""Progress away from a terminal: the job, how far it is, a line before a minute of silence is over."""

from __future__ import annotations

import pytest

from nmforge.io import progress
from nmforge.io.progress import SILENCE, Progress, note, steps, telling


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The process's own progress, on a clock that a test sets."""
    clock = Clock()
    monkeypatch.setattr(progress, "PROGRESS", Progress(clock))
    return clock


def test_a_long_loop_says_how_far_it_is_and_how_long_it_will_take(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with telling("compress a", thread=False):
        for _ in steps(range(30), "walk", "block"):
            clock.seconds += 10
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "compress a: block 5 of 30, 50 s so far, about 250 s left"
    assert len(lines) == 5  # 300 s, a line every 50 s but for the end


def test_what_was_done_before_counts_but_not_for_the_speed(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with telling("recover a", thread=False):
        for _ in steps(range(20, 40), "recover", "step", 40, 20):
            clock.seconds += SILENCE
    assert capsys.readouterr().err.splitlines()[0] == "recover a: step 21 of 40, 50 s so far, about 950 s left"


def test_a_short_job_says_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with telling("storage a", thread=False):
        assert list(steps([1, 2, 3], "layers", "layer")) == [1, 2, 3]
        clock.seconds += SILENCE - 1
    assert capsys.readouterr().err == ""


def test_silence_starts_again_behind_another_line(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with telling("recover a", thread=False):
        clock.seconds += SILENCE - 1
        note("step 8: KL 0.5")
        clock.seconds += 2
        list(steps([1], "more", "step"))
    assert capsys.readouterr().err == "step 8: KL 0.5\n"


def test_a_single_long_step_is_told_by_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    clock = Clock()
    told = Progress(clock, said.append)
    monkeypatch.setattr(progress, "PROGRESS", told)
    with telling("fpga place a", thread=True):
        clock.seconds = SILENCE + 1
        for _ in range(200):
            if said:
                break
            progress.threading.Event().wait(0.05)
    assert said == ["fpga place a: 51 s so far"]
