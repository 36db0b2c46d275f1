"""What a run of the workflow says at its end: where the answer, the figures and the ledger are, or what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nmforge.config import Config
from nmforge.io.folders import study_folders


def success_text(config: Config) -> str:
    """The answer of a finished run, where it has one, and the paths of what a reader opens next."""
    folders = study_folders(config.study)
    places = {
        "report": folders.results / "report.html",
        "figures": folders.figures,
        "ledger": folders.tables / "claims.csv",
        "tables": folders.tables,
    }
    found = [f"  {name:<8} {place}" for name, place in places.items() if place.exists()]
    return "\n".join([*_answer(folders.tables / "claims.parquet"), *found])


def _answer(ledger: Path) -> list[str]:
    """The answer of the ledger; nothing where the run made none."""
    if not ledger.exists():
        return []
    from nmforge.io.records import read_table
    from nmforge.reporting.answer import answer_text

    return ["", answer_text(read_table(ledger)), ""]


def failure_text(logs: Iterable[str]) -> str:
    """What to do after a failed job, and where Snakemake's whole log is."""
    whole = "".join(f"  Snakemake's own log is {log}.\n" for log in logs)
    return (
        "A job failed. The lines above name its log and say why.\n"
        f"{whole}  The same command goes on from there: what is finished stays."
    )
