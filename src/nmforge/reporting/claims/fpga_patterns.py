"""The claim that an FPGA runs patterns beyond 2:4."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nmforge.reporting.claims.registry import REGISTRY, Claim
from nmforge.reporting.query import Tables, at, multipliers, origin, with_pattern
from nmforge.reporting.verdicts import Entry, headline, holds, missing

if TYPE_CHECKING:
    import pandas as pd

CLAIM, CLAIMED = "patterns beyond 2:4 on FPGA", "exact, fewer cycles"
BASELINE = "dense INT4, same tile, same number of multipliers"


def entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """1:4 and 4:8 on the same RTL: fewer cycles per multiplier than dense, and no output that differs."""
    rtl = at(tables["fpga"], stage="rtl")
    for pattern in ("1:4", "4:8"):
        where = f"FPGA (RTL simulation), {pattern} INT4"
        rows = with_pattern(rtl, pattern)
        if rows.empty:
            yield missing(CLAIM, CLAIMED, where, f"no simulated {pattern} rows")
            continue
        entry = _entry(where, rows, with_pattern(rtl, "dense"), here)
        yield headline(entry) if pattern == "1:4" else entry


def _entry(where: str, rows: pd.DataFrame, dense: pd.DataFrame, here: str | None) -> Entry:
    """Verdict from the worst simulated run: exact in every output, and less multiplier time than dense."""
    gain = _least_gain(rows, dense)
    if gain is None:
        return missing(CLAIM, CLAIMED, where, "no dense run of the same tile")
    compared, wrong = int(rows["outputs_compared"].sum()), int(rows["mismatches"].sum())
    text = (
        f"{gain:.2f}x fewer cycles per multiplier; {wrong} of {compared:,} outputs differ, "
        f"{rows['efficiency'].min():.0%} of ideal"
    )
    good = holds(wrong == 0 and compared > 0 and gain > 1)
    return Entry(CLAIM, CLAIMED, text, where, BASELINE, good, origin(rows, here), 1.0, gain)


def _least_gain(rows: pd.DataFrame, dense: pd.DataFrame) -> float | None:
    """Cycles x multipliers of dense over those of a sparse run, the least of all tiles; None where no tile has both."""
    if dense.empty:
        return None
    work, dense_work = (part.assign(work=part["cycles"] * part.apply(multipliers, axis=1)) for part in (rows, dense))
    keys = [key for key in ("engine", "m", "n", "k") if key in rows]
    least = dense_work.groupby(keys, as_index=False)["work"].min()
    both = work.merge(least, on=keys, suffixes=("", "_dense"))
    return None if both.empty else float((both["work_dense"] / both["work"]).min())


REGISTRY.add(Claim("fpga_patterns", CLAIM, ("fpga",), entries, order=50))
