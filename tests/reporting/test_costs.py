"""Times and memory of jobs, read from the files of Snakemake."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from factories.reports import HEADS, write_benchmarks

from nmforge.core.errors import NmforgeError
from nmforge.reporting.costs import read_costs, stage_costs


def test_jobs_and_stages(tmp_path: Path) -> None:
    write_benchmarks(tmp_path)
    jobs = read_costs(tmp_path)
    assert [tuple(row[:3]) for row in jobs.itertuples(index=False)] == [
        ("bench", "bench", 240.0), ("compress", "a", 60.0), ("compress", "b", 30.0), ("report", "report", 1.0)
    ]  # fmt: skip
    assert math.isnan(jobs["peak_mb"][2])  # Snakemake writes a dash where it could not look
    stages = stage_costs(jobs).set_index("stage")
    assert list(stages.index) == ["bench", "compress", "report"]
    assert stages.loc["compress"].to_dict() == {"jobs": 2, "seconds": 90, "cpu_seconds": 180, "peak_mb": 900.5}


def test_a_study_without_benchmarks_has_no_rows(tmp_path: Path) -> None:
    assert read_costs(tmp_path / "none").empty


@pytest.mark.parametrize("text", ["", HEADS, "s\tmax_rss\n1\t2\n", HEADS.replace("s\t", "t\t", 1) + "1\n"])
def test_a_damaged_file_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "bench.tsv").write_text(text)
    with pytest.raises(NmforgeError, match=r"bench\.tsv is not a benchmark of Snakemake"):
        read_costs(tmp_path)
