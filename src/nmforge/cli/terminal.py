"""What Snakemake tells on a terminal: a line when a long job starts, with its expected time, and one when it ends.

    10:31:07  starts   Compress alps-2of4-int4, about 104 s
    10:32:49   12/112  Compress alps-2of4-int4, 102 s

Errors and what other programs say pass as Snakemake words them; its full log stays in .snakemake/log.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from logging import LogRecord
from typing import Any, TextIO

from snakemake.logging import DefaultFormatter
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from nmforge.cli.expected_times import expected_seconds

ANNOUNCED_SECONDS = 15.0  # a job that is expected to be shorter is told when it has ended
NOISE = ("Select jobs to execute...", "Building DAG of jobs...", "Using shell:", "Provided ", "Rules claiming more")


@dataclass(frozen=True)
class Started:
    """A running job."""

    what: str
    at: float


class Told:
    """The lines of one run; knows which jobs run, what they do and since when."""

    def __init__(
        self,
        expected: Callable[[str | None, str], float | None],
        clock: Callable[[], float],
        dry_run: bool = False,
    ) -> None:
        self._expected, self._clock, self._dry_run = expected, clock, dry_run
        self._running: dict[int, Started] = {}
        self._finished: list[Started] = []

    def lines(self, event: LogEvent | None, record: dict[str, Any]) -> Iterator[str]:
        """The lines to print for one record of Snakemake's that is no error."""
        if event == LogEvent.JOB_INFO:
            yield from [_what(record)] if self._dry_run else self._starts(record)
        elif event == LogEvent.JOB_FINISHED:
            self._finished.append(self._running.pop(int(record["job_id"]), Started("a job", self._clock())))
        elif event == LogEvent.PROGRESS:
            yield from self._ended(int(record["done"]), int(record["total"]))
        elif event in (None, LogEvent.RUN_INFO):
            text = str(record["msg"] or "").strip()
            if text and not text.startswith(NOISE):
                yield text

    def _starts(self, record: dict[str, Any]) -> Iterator[str]:
        """Remember a job; a line where it is long, or where nobody knows how long it is."""
        what = _what(record)
        self._running[int(record["jobid"])] = Started(what, self._clock())
        seconds = self._expected(record["benchmark"], record["rule_name"])
        if seconds is None:
            yield f"{self._now()}  starts   {what}"
        elif seconds >= ANNOUNCED_SECONDS:
            yield f"{self._now()}  starts   {what}, about {duration(seconds)}"

    def _ended(self, done: int, total: int) -> Iterator[str]:
        """A line for each job that ended since the last one."""
        for before, job in enumerate(reversed(self._finished)):
            yield f"{self._now()}  {done - before:>3}/{total:<3}  {job.what}, {duration(self._clock() - job.at)}"
        self._finished.clear()

    def _now(self) -> str:
        return time.strftime("%H:%M:%S", time.localtime(self._clock()))


def _what(record: dict[str, Any]) -> str:
    """What a job does: the message of its rule, or the rule's name."""
    return str(record["rule_msg"] or record["rule_name"])


def duration(seconds: float) -> str:
    """A time in words: `41 s`, `3 min 20 s`."""
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min {whole % 60} s"


class TerminalHandler(LogHandlerBase):
    """Snakemake's handler of log records: prints the lines of `Told`."""

    def __post_init__(self) -> None:
        """Open the stream that the command line asks for."""
        self._told = Told(expected_seconds, time.time, self.common_settings.dryrun)
        self._stream: TextIO = sys.stdout if self.common_settings.stdout else sys.stderr
        self._words = DefaultFormatter(self.common_settings.quiet, self.common_settings.show_failed_logs)

    def emit(self, record: LogRecord) -> None:
        """Print what a record tells a reader; nothing for one that tells nothing."""
        event = getattr(record, "event", None)
        if event in (LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR, LogEvent.ERROR) or record.levelname in (
            "WARNING",
            "ERROR",
        ):
            print(self._words.format(record), file=self._stream, flush=True)
            return
        for line in self._told.lines(event, record.__dict__):
            print(line, file=self._stream, flush=True)

    @property
    def writes_to_stream(self) -> bool:
        """It takes the place of Snakemake's own lines."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """No; Snakemake's own log file stays."""
        return False

    @property
    def has_filter(self) -> bool:
        """No: `--quiet` and `--verbose` work as for Snakemake's own lines."""
        return False

    @property
    def has_formatter(self) -> bool:
        """Yes."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """No."""
        return False
