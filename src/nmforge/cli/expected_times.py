"""How long a job of the workflow should take: as long as it took here last time, else as long as on record."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from statistics import median

from nmforge.core.errors import NmforgeError
from nmforge.io import provenance
from nmforge.io.files import write_atomically
from nmforge.io.import_closure import CHECKOUT

RECORD = CHECKOUT / "workflow/records/times.json"
BELOW = "benchmarks/"  # what precedes the name of a job in the path of its benchmark file


def expected_seconds(benchmark: str | None, rule: str) -> float | None:
    """Seconds that a job should take; None where neither it nor its rule was ever measured.

    benchmark: the file into which Snakemake writes the job's time, such as logs/benchmarks/compress/NAME.tsv.
    """
    if benchmark is None:
        return None
    last = seconds_of(Path(benchmark))
    if last is not None:
        return last
    name = job_name(benchmark)
    recorded = _recorded()
    alike = [seconds for job, seconds in recorded.items() if job.split("/")[0] == name.split("/")[0]]
    return recorded.get(name, median(alike) if alike else None)


def job_name(benchmark: str) -> str:
    """`compress/NAME` of logs/benchmarks/compress/NAME.tsv."""
    return benchmark.rpartition(BELOW)[2].removesuffix(".tsv")


def seconds_of(benchmark: Path) -> float | None:
    """Wall-clock seconds in one of Snakemake's benchmark files; None where there is no such file or it is not whole."""
    try:
        with benchmark.open(newline="") as handle:
            row = next(csv.DictReader(handle, delimiter="\t"))
        return float(row["s"])
    except (OSError, StopIteration, KeyError, ValueError):
        return None


def record_times(benchmarks: Path, record: Path) -> None:
    """Write the seconds of every job of a run, and on which processor, for runs that come without times of their own.

    benchmarks: the study's folder of Snakemake's benchmark files; raises NmforgeError where it holds none.
    """
    found = {job_name(str(file)): seconds_of(file) for file in sorted(benchmarks.rglob("*.tsv"))}
    times = {job: round(seconds, 1) for job, seconds in found.items() if seconds is not None}
    if not times:
        raise NmforgeError(f"{benchmarks} holds no time of a job; run snakemake first")
    text = json.dumps({"cpu": provenance.cpu_name(), "seconds": times}, indent=1)
    write_atomically(record, lambda temporary: temporary.write_text(text + "\n"))


@cache
def _recorded() -> dict[str, float]:
    """Seconds by name of the job, as the run took that the record is of; none where there is no record."""
    return dict(json.loads(RECORD.read_text())["seconds"]) if RECORD.exists() else {}
