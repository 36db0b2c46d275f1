"""Does a matmul that multipliers bound, the largest M in cache, gain from every thread?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nmforge.reporting.claims.registry import REGISTRY, Claim
from nmforge.reporting.comparisons import SIZE, conditions
from nmforge.reporting.query import OURS_2OF4, Tables, at, fastest, matching, most_threads, on_platform, origin
from nmforge.reporting.verdicts import Entry, factor, missing

if TYPE_CHECKING:
    import pandas as pd

CLAIM = "compute-bound matmul scales with threads"
BAR = 0.8  # of a thread more for each thread added


def entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """One thread against the most threads of the same run; of several runs the median ratio counts."""
    pairs = _pairs(tables["kernels"])
    if not pairs:
        reason = "no run holds ours 2:4 INT4 with one thread and with several (kernels.threads)"
        yield missing(CLAIM, f"our bar: {BAR:.0%} of each thread added", "CPU, ours 2:4 INT4", reason)
        return
    pairs.sort(key=_ratio)
    one, most = found = pairs[(len(pairs) - 1) // 2]
    bar = 1 + BAR * (int(most["threads"]) - 1)
    where = f"CPU, ours 2:4 INT4, {conditions(most)}"
    yield factor(CLAIM, bar, _ratio(found), where, "one thread", origin([one, most], here))


def _pairs(kernels: pd.DataFrame) -> list[tuple[pd.Series, pd.Series]]:
    """(one thread, most threads) of each run that has both."""
    ours = matching(at(on_platform(kernels, "CPU"), n=SIZE, k=SIZE, cache="resident"), OURS_2OF4)
    if ours.empty:
        return []
    runs = [run for _, run in ours[ours["m"] == ours["m"].max()].groupby(["run_id", "device"])]
    return [(fastest(at(run, threads=1)), fastest(most_threads(run))) for run in runs if {1} < set(run["threads"])]


def _ratio(rows: tuple[pd.Series, pd.Series]) -> float:
    """Time of one thread over that of the most."""
    one, most = rows
    return float(one["median_us"]) / float(most["median_us"])


REGISTRY.add(Claim("threads", CLAIM, ("kernels",), entries, order=100))
