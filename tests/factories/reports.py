"""A small run as the report reads it: tables with every kind of row, two figures, times of jobs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from factories.ledgers import KERNELS
from factories.rows import accuracy_row, storage_row
from factories.tables import fpga_table, kernels_table

from nmforge.cli import main
from nmforge.reporting.ledger import ledger

HEADS = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def accuracy_rows() -> pd.DataFrame:
    """Dense, and a sparse point with 8-bit activations."""
    measured = {"mode": "w4a8", "kl": 0.71249, "top1_agreement": 0.6054, "compared_tokens": 3072}
    return pd.DataFrame(
        [
            accuracy_row("dense-bf16", "1:1", 16, 18.114, 1.0, mode="bf16", kl=None, compared_tokens=0),
            accuracy_row("sparse", "2:4", 4, 2796000.0, 154355.9, **measured),
            accuracy_row("sparse-more", "1:4", 4, 310.25, 17.1, **measured | {"kl": 0.25}),
        ]
    )


def sample_rows() -> pd.DataFrame:
    """Two continuations, with characters that mean something in HTML."""
    prompt = "Two <towers>"
    return pd.DataFrame(
        [
            {"design_id": "dense-bf16", "prompt": prompt, "text": " stand\nhere & <b>there</b>", "ended": False},
            {"design_id": "sparse", "prompt": prompt, "text": " fall.", "ended": True},
        ]
    )


def report_tables() -> dict[str, pd.DataFrame]:
    """The tables that a report needs, and some that it can do without."""
    return {
        "claims": ledger({"kernels": pd.DataFrame(KERNELS)}),
        "accuracy": accuracy_rows(),
        "samples": sample_rows(),
        "storage": pd.DataFrame([storage_row("sparse", "offset", 3.125), storage_row("sparse", "enumerative", 2.824)]),
        "kernels": pd.concat([kernels_table(cuda=True)] * 2, ignore_index=True),
        "fpga": fpga_table(),
    }


def write_benchmarks(folder: Path) -> None:
    """Two jobs of one stage, one of another, and an earlier report."""
    for name, seconds, memory in (("compress/a", 60.0, "900.5"), ("compress/b", 30.0, "-"), ("bench", 240.0, "50.0")):
        path = folder / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{HEADS}{seconds}\t0:01:00\t{memory}\t1\t1\t1\t0\t0\t99.0\t{seconds * 2}\n")
    (folder / "report.tsv").write_text(f"{HEADS}1.0\t0:00:01\t70.0\t1\t1\t1\t0\t0\t99.0\t1.0\n")


def write_report(folder: Path) -> Path:
    """The page of this run, made by the command line."""
    tables = folder / "tables"
    tables.mkdir()
    for name, table in report_tables().items():
        table.to_parquet(tables / f"{name}.parquet")
    assert main(["figures", "storage", "speedup", "--tables", str(tables), "--out", str(folder / "figures")]) == 0
    write_benchmarks(folder / "benchmarks")
    places = [f"--{name}={folder / name}" for name in ("tables", "figures", "benchmarks")]
    assert main(["report", *places, f"--out={folder / 'report.html'}"]) == 0
    return folder / "report.html"
