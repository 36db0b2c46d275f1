"""What a run cost: time and memory of every job, from the files that Snakemake's `benchmark:` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nmforge.core.errors import NmforgeError
from nmforge.core.lazy import pd

COLUMNS = ["stage", "job", "seconds", "cpu_seconds", "peak_mb"]
MEASURED = {"seconds": "s", "cpu_seconds": "cpu_time", "peak_mb": "max_rss"}  # our column: that of Snakemake


def read_costs(folder: Path, without: tuple[str, ...] = ()) -> pd.DataFrame:
    """One row a job: stage, job, seconds, processor seconds, peak memory in MB (2^20 bytes); no rows without a folder.

    folder: of the files `<stage>/<job>.tsv`, or `<stage>.tsv` where a stage is one job. without: stages left out.
    A value that Snakemake could not measure is empty. Raises NmforgeError for a file that is no benchmark.
    """
    rows = [_read(path, folder) for path in sorted(folder.rglob("*.tsv"))]
    return pd.DataFrame([row for row in rows if row["stage"] not in without], columns=COLUMNS)


def _read(path: Path, folder: Path) -> dict[str, Any]:
    """The last measurement of one file."""
    parts = path.relative_to(folder).with_suffix("").parts
    row: dict[str, Any] = {"stage": parts[0], "job": "/".join(parts[1:]) or parts[0]}
    try:
        last = pd.read_csv(path, sep="\t", na_values=["-"]).iloc[-1]
        return row | {ours: float(last[theirs]) for ours, theirs in MEASURED.items()}
    except (ValueError, KeyError, IndexError, pd.errors.ParserError) as error:
        raise NmforgeError(f"{path} is not a benchmark of Snakemake ({error}); delete it and run again") from error


def stage_costs(jobs: pd.DataFrame) -> pd.DataFrame:
    """One row a stage, the longest first: number of jobs, seconds of all of them, the largest peak of memory."""
    grouped = jobs.groupby("stage", sort=False)
    total = grouped[["seconds", "cpu_seconds"]].sum()
    total.insert(0, "jobs", grouped.size())
    total["peak_mb"] = grouped["peak_mb"].max()
    ordered: pd.DataFrame = total.sort_values("seconds", ascending=False, kind="stable").reset_index()
    return ordered
