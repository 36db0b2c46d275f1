"""What a run tells on a terminal: one line when a long job starts, one when a job ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from nmforge.cli import expected_times
from nmforge.cli.expected_times import expected_seconds, record_times
from nmforge.cli.terminal import Told, duration
from nmforge.core.errors import NmforgeError

TSV = "s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t100\n"


def job(number: int, message: str) -> dict[str, object]:
    return {"jobid": number, "rule_msg": message, "rule_name": "compress", "benchmark": f"benchmarks/{message}.tsv"}


@pytest.fixture
def clock() -> Iterator[float]:
    return iter(float(second) for second in range(0, 1000, 20))


def told(clock: Iterator[float], expected: float | None) -> Told:
    return Told(lambda benchmark, rule: expected, lambda: next(clock))


def words(lines: Iterator[str]) -> list[str]:
    """The lines without their time of day."""
    return [line[10:] for line in lines]


def test_a_long_job_is_told_at_its_start_and_its_end(clock: Iterator[float]) -> None:
    lines = told(clock, 104.0)
    assert words(lines.lines(LogEvent.JOB_INFO, job(4, "Compress a"))) == ["starts   Compress a, about 104 s"]
    assert not list(lines.lines(LogEvent.JOB_FINISHED, {"job_id": 4}))
    (ended,) = words(lines.lines(LogEvent.PROGRESS, {"done": 12, "total": 112}))
    assert ended.startswith(" 12/112  Compress a, ")


def test_a_short_job_is_told_at_its_end_only(clock: Iterator[float]) -> None:
    lines = told(clock, 3.0)
    assert not list(lines.lines(LogEvent.JOB_INFO, job(4, "Draw a")))
    list(lines.lines(LogEvent.JOB_FINISHED, {"job_id": 4}))
    assert len(words(lines.lines(LogEvent.PROGRESS, {"done": 1, "total": 2}))) == 1


def test_a_job_that_nobody_timed_is_told_without_a_time(clock: Iterator[float]) -> None:
    assert words(told(clock, None).lines(LogEvent.JOB_INFO, job(1, "New"))) == ["starts   New"]


def test_two_jobs_that_end_together_have_a_number_each(clock: Iterator[float]) -> None:
    lines = told(clock, 1.0)
    for number, name in enumerate("ab"):
        list(lines.lines(LogEvent.JOB_INFO, job(number, name)))
        list(lines.lines(LogEvent.JOB_FINISHED, {"job_id": number}))
    ended = words(lines.lines(LogEvent.PROGRESS, {"done": 5, "total": 9}))
    assert {line.split("/")[0].strip() for line in ended} == {"4", "5"}


def test_words_of_a_time() -> None:
    assert [duration(second) for second in (0.4, 119.4, 120, 3601)] == ["0 s", "119 s", "2 min 0 s", "60 min 1 s"]


def test_the_last_run_here_tells_the_time_before_the_record_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "benchmarks/compress/a.tsv"
    record = tmp_path / "times.json"
    record.write_text(json.dumps({"seconds": {"compress/a": 50, "compress/b": 70, "bench": 9}}))
    monkeypatch.setattr(expected_times, "RECORD", record)
    expected_times._recorded.cache_clear()
    try:
        assert expected_seconds(str(here), "compress") == 50
        assert expected_seconds(str(here.with_name("new.tsv")), "compress") == 60  # the median of its kind
        assert expected_seconds(str(tmp_path / "benchmarks/other.tsv"), "other") is None
        here.parent.mkdir(parents=True)
        here.write_text(TSV.format(seconds=33.5))
        assert expected_seconds(str(here), "compress") == 33.5
    finally:
        expected_times._recorded.cache_clear()


def test_the_record_holds_every_job_of_a_run(tmp_path: Path) -> None:
    for name, seconds in {"bench": 112.04, "compress/a": 7.0}.items():
        (tmp_path / f"benchmarks/{name}.tsv").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"benchmarks/{name}.tsv").write_text(TSV.format(seconds=seconds))
    record_times(tmp_path / "benchmarks", tmp_path / "times.json")
    assert json.loads((tmp_path / "times.json").read_text())["seconds"] == {"bench": 112.0, "compress/a": 7.0}
    with pytest.raises(NmforgeError, match="holds no time of a job; run snakemake first"):
        record_times(tmp_path / "nothing", tmp_path / "times.json")
