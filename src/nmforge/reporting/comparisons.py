"""Comparisons of kernels on 4096x4096 that several claims make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nmforge.reporting.query import (
    Pair,
    Query,
    Tables,
    at,
    gpu_or_cpu,
    most_threads,
    on_platform,
    origin,
    pair,
    platform_name,
)
from nmforge.reporting.verdicts import Entry, factor, headline, missing

if TYPE_CHECKING:
    import pandas as pd

SIZE = 4096  # N and K of the layer that the paper measures
PARTS = {"matmul": "matmul only", "end_to_end": "dequantize + matmul"}


@dataclass(frozen=True)
class Comparison:
    """A kernel against a baseline: the queries of their rows, their names in the ledger, and the factor to reach.

    headline: for how many tokens, on a CPU, it answers a claim of the paper.
    """

    bar: float
    query: Query
    baseline: Query
    name: str
    against: str
    headline: Literal["", "one token", "many tokens"] = ""

    def headline_m(self, sizes: Sequence[int]) -> int | None:
        """Which of these numbers of tokens answers a claim of the paper; None where this comparison answers none."""
        return {"": None, "one token": min(sizes), "many tokens": max(sizes)}[self.headline]


def measured_platforms(tables: Tables) -> list[str]:
    """CPU, and GPU where one was measured."""
    return ["CPU", *(["GPU"] if len(on_platform(tables["kernels"], "GPU")) else [])]


def square_kernels(tables: Tables, platform: str, **fixed: object) -> pd.DataFrame:
    """Kernel rows of a platform at 4096x4096, with the most threads, whose columns have the given values."""
    return most_threads(at(gpu_or_cpu(tables["kernels"], platform), n=SIZE, k=SIZE, **fixed))


def conditions(row: pd.Series) -> str:
    """M, cache and, on a CPU, threads of a row."""
    text = f"M={row['m']}, {row['cache']}"
    if platform_name(row["device"]) == "GPU":
        return text
    return f"{text}, {row['threads']} thread{'s' if row['threads'] != 1 else ''}"


def paper_path(tables: Tables, here: str | None, claim: str, claimed: float, stage: str) -> Iterator[Entry]:
    """The paper's unfused path, 2:4 against dense weights, at the largest M measured, per platform."""
    for platform in ("GPU", "CPU"):
        rows = most_threads(gpu_or_cpu(at(tables["kernels"], n=SIZE, k=SIZE), platform))
        where = f"{platform}, unfused path of the paper, {PARTS[stage]}"
        found = _unfused_pair(rows, stage)
        if found is None:
            absent = platform == "GPU" and rows.empty
            reason = "no CUDA device was measured" if absent else "no run holds 2:4 and dense rows of this path"
            yield missing(claim, claimed, where, reason)
            continue
        where, source = f"{where}, {conditions(found.row)}", origin([found.row, found.baseline], here)
        yield factor(claim, claimed, found.interval, where, "the same path, dense weights", source)


def _unfused_pair(rows: pd.DataFrame, stage: str) -> Pair | None:
    """2:4 against dense at the largest M: INT4 where a run has both, otherwise 16 bits."""
    largest = rows if rows.empty else at(rows, m=rows["m"].max())
    for bits in (4, 16):
        found = pair(largest, Query("baseline", "2:4", (bits,), stage), Query("baseline", "dense", (bits,), stage))
        if found is not None:
            return found
    return None


def compare(
    tables: Tables, here: str | None, claim: str, comparisons: Sequence[Comparison], platform: str
) -> Iterator[Entry]:
    """Kernels at M = 1 and at the largest M, streamed, against each named baseline."""
    kernels = square_kernels(tables, platform, cache="streamed")
    sizes = sorted({1, int(kernels["m"].max())}) if len(kernels) else [1]
    for asked in comparisons:
        for m in sizes:
            found = pair(at(kernels, m=m), asked.query, asked.baseline)
            if found is None:
                reason = f"no run holds both {asked.name} and {asked.against} at 4096x4096"
                yield missing(claim, asked.bar, f"{platform}, {asked.name}, M={m}", reason)
                continue
            exact = f"{asked.against} ({found.baseline['kernel']})"
            where = f"{platform}, {asked.name}, {conditions(found.row)}"
            entry = factor(claim, asked.bar, found.interval, where, exact, origin([found.row, found.baseline], here))
            yield headline(entry) if (platform, m) == ("CPU", asked.headline_m(sizes)) else entry
