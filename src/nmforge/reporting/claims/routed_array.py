"""Does sparsity pay on an array that was placed and routed, its slower clock and larger area counted?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmforge.reporting.claims.registry import REGISTRY, Claim
from nmforge.reporting.query import Tables, at, origin, with_pattern
from nmforge.reporting.verdicts import Entry, holds, missing

if TYPE_CHECKING:
    import pandas as pd

CLAIM, CLAIMED = "sparsity pays on the routed array", "more than 1x"
BASELINE = "dense INT4, same multipliers, median clocks of seeds"


@dataclass(frozen=True)
class Routed:
    """The largest array that was routed for a pattern and for dense weights.

    speed: wall-clock time of dense over that of the pattern. area: LUTs of the pattern's build over those of dense.
    rows: the routed rows that were used.
    """

    speed: float
    area: float
    rows: pd.DataFrame


def entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Wall-clock gain over dense of the same multipliers, cycles times clock, and that gain per LUT."""
    for pattern in ("2:4", "1:4"):
        where = f"ECP5-85k, {pattern} INT4"
        found = _routed(tables["fpga"], pattern)
        if found is None:
            yield missing(CLAIM, CLAIMED, where, f"no routed build for {pattern} and dense")
            continue
        first, per_lut = found.rows.iloc[0], found.speed / found.area
        text = f"{found.speed:.2f}x faster, {per_lut:.2f}x per LUT ({100 * (found.area - 1):+.0f} % LUTs)"
        array = f"{first['rows']:.0f}x{first['cols']:.0f} device, {len(found.rows)} routed designs"
        source = origin(found.rows, here)
        yield Entry(CLAIM, CLAIMED, text, f"{where}, {array}", BASELINE, holds(per_lut > 1), source, 1.0, found.speed)


def _routed(fpga: pd.DataFrame, pattern: str) -> Routed | None:
    """Clocks and LUTs from place and route, medians of the seeds; cycles from the RTL of the same builds."""
    if fpga.empty or "fmax_mhz" not in fpga:
        return None
    rtl = at(fpga, stage="rtl")
    sparse, dense = with_pattern(rtl, pattern), at(with_pattern(rtl, "dense"), window=1)
    if sparse.empty or dense.empty:
        return None
    window = int(sparse["window"].min())
    used = _largest_routed(at(fpga, stage="route", lanes=1, bits=4), window)
    keys = [key for key in ("m", "n", "k") if key in fpga]
    both = at(sparse, window=window).merge(dense, on=keys, suffixes=("", "_dense"))
    if used is None or both.empty:
        return None
    cycles = float((both["cycles_dense"] / both["cycles"]).median())
    (clock, dense_clock), (luts, dense_luts) = (_medians(used, column, window) for column in ("fmax_mhz", "lut"))
    return Routed(cycles * clock / dense_clock, luts / dense_luts, used)


def _medians(routed: pd.DataFrame, column: str, window: int) -> tuple[float, float]:
    """Medians over the seeds of the build for a window, and of the dense build."""
    return float(at(routed, window=window)[column].median()), float(at(routed, window=1)[column].median())


def _largest_routed(routed: pd.DataFrame, window: int) -> pd.DataFrame | None:
    """Rows of the largest array that was routed both for dense weights and for a window."""
    if routed.empty:
        return None
    built = routed.groupby(["rows", "cols"])["window"].apply(set)
    fitting = built[[{1, window} <= windows for windows in built]]
    if fitting.empty:
        return None
    rows, cols = max(fitting.index)
    same = at(routed, rows=rows, cols=cols)
    return same[same["window"].isin([1, window])]


REGISTRY.add(Claim("routed_array", CLAIM, ("fpga",), entries, order=60))
