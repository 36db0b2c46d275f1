"""How far a long job is: a bar on a terminal; elsewhere a line before a minute of silence is over.

    compress alps-2of4-int4: block 12 of 30, 0 min 50 s, about 75 s left

A job under Snakemake has no terminal of its own, so its lines name it, and a thread says them also while one step
lasts long. A job that measures times runs no such thread; it says its lines between two measurements.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

SILENCE = 50.0  # seconds


class Progress:
    """What this process does, how far it is, and when it said so last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, say: Callable[[str], None] | None = None) -> None:
        self._clock, self._say = clock, say or _to_stderr
        self._lock = threading.Lock()
        self.begin("")

    def begin(self, label: str) -> None:
        """Start to measure time and silence for a job of that name."""
        self._label, self._started, self._told = label, self._clock(), self._clock()
        self._loop: tuple[str, int, int, int, float] | None = None

    def at(self, unit: str, done: int, total: int, first: int, since: float) -> None:
        """`done` of `total` are done, of which `first` were before the time `since`."""
        self._loop = (unit, done, total, first, since)

    def now(self) -> float:
        """Seconds of the clock."""
        return self._clock()

    def spoke(self) -> None:
        """Something else was written, so silence starts again."""
        self._told = self._clock()

    def tell_if_due(self) -> None:
        """Say a line where nothing was said for SILENCE seconds."""
        with self._lock:
            if self._clock() - self._told >= SILENCE:
                self._told = self._clock()
                self._say(self.line())

    def line(self) -> str:
        """The job, how far it is, how long it took, and where a loop tells it, how long it will."""
        elapsed = f"{round(self._clock() - self._started)} s"
        label = f"{self._label}: " if self._label else ""
        if self._loop is None:
            return f"{label}{elapsed} so far"
        unit, done, total, first, since = self._loop
        left = (self._clock() - since) * (total - done) / (done - first) if done > first else None
        ahead = "" if left is None else f", about {round(left)} s left"
        return f"{label}{unit} {done} of {total}, {elapsed} so far{ahead}"


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


T = TypeVar("T")
PROGRESS = Progress()


def steps(items: Iterable[T], what: str, unit: str, total: int | None = None, first: int = 0) -> Iterator[T]:
    """The items, with a bar on a terminal and lines elsewhere.

    what: name of the loop. unit: what an item is. total: how many there are in all, of which `first` were done before;
    the number of items where it is left out.
    """
    if total is None:
        total = len(items) if isinstance(items, Sized) else 0
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, what, total, initial=first, unit=unit)
        return
    since = PROGRESS.now()
    for done, item in enumerate(items, first):
        PROGRESS.at(unit, done, total, first, since)
        PROGRESS.tell_if_due()
        yield item
    PROGRESS.at(unit, total, total, first, since)


def note(text: str) -> None:
    """Write a line to stderr, above a bar where there is one."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)
    else:
        _to_stderr(text)
        PROGRESS.spoke()


@contextmanager
def telling(label: str, *, thread: bool) -> Iterator[None]:
    """While a job of that name runs, break each silence of SILENCE seconds; on a terminal bars do that.

    thread: also while a single step lasts; a job that measures times wants none.
    """
    PROGRESS.begin(label)
    if not thread or sys.stderr.isatty():
        yield
        return
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(1.0):
            PROGRESS.tell_if_due()

    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()
