"""Does sparsity pay on an array that was placed and routed, its slower clock and larger area counted?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmforge.reporting.claims.registry import REGISTRY, Claim
from nmforge.reporting.query import Tables, at, origin, with_pattern
from nmforge.reporting.verdicts import Entry, headline, holds, missing

if TYPE_CHECKING:
    import pandas as pd

CLAIM, CLAIMED = "sparsity pays on the routed array", "more than 1x"
BASELINE = "dense INT4, same multipliers, median clocks of seeds"


@dataclass(frozen=True)
class Routed:
    """The largest device that was routed for a pattern and for dense weights, and simulated with M tokens.

    speed: wall-clock time of dense over that of the pattern. area: LUTs of the pattern's build over those of dense.
    rows: the routed rows that were used.
    """

    m: int
    speed: float
    area: float
    rows: pd.DataFrame


def entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Wall-clock gain over dense of the same multipliers, cycles times clock, and that gain per LUT; for each M."""
    for pattern in ("2:4", "1:4"):
        where = f"ECP5-85k, {pattern} INT4"
        found = list(_routed(tables["fpga"], pattern))
        if not found:
            reason = f"no device was both routed and simulated for {pattern} and dense"
            yield missing(CLAIM, CLAIMED, where, reason)
        most = max((device.m for device in found), default=0)
        for device in found:
            entry = _entry(device, where, here)
            yield headline(entry) if (pattern, device.m) == ("2:4", most) else entry


def _entry(device: Routed, where: str, here: str | None) -> Entry:
    first, per_lut = device.rows.iloc[0], device.speed / device.area
    text = f"{device.speed:.2f}x faster, {per_lut:.2f}x per LUT ({100 * (device.area - 1):+.0f} % LUTs)"
    array = f"M={device.m}, {first['rows']:.0f}x{first['cols']:.0f} device, {len(device.rows)} routed designs"
    source = origin(device.rows, here)
    return Entry(CLAIM, CLAIMED, text, f"{where}, {array}", BASELINE, holds(per_lut > 1), source, 1.0, device.speed)


def _routed(fpga: pd.DataFrame, pattern: str) -> Iterator[Routed]:
    """Clocks and LUTs from place and route, medians of the seeds; cycles of the same device in simulation, by M."""
    if fpga.empty or "fmax_mhz" not in fpga:
        return
    simulated = at(fpga, stage="random", engine="device", lanes=1, bits=4)
    sparse, dense = with_pattern(simulated, pattern), at(with_pattern(simulated, "dense"), window=1)
    if sparse.empty or dense.empty:
        return
    window = int(sparse["window"].min())
    used = _largest_routed(at(fpga, stage="route", lanes=1, bits=4), window)
    if used is None:
        return
    array = {key: used.iloc[0][key] for key in ("rows", "cols")}
    keys = ["m", "n", "k"]
    both = at(sparse, window=window, **array).merge(at(dense, **array), on=keys, suffixes=("", "_dense"))
    (clock, dense_clock), (luts, dense_luts) = (_medians(used, column, window) for column in ("fmax_mhz", "lut"))
    for m in sorted({int(m) for m in both["m"]}):
        rows = at(both, m=m)
        cycles = float((rows["cycles_dense"] / rows["cycles"]).median())
        yield Routed(m, cycles * clock / dense_clock, luts / dense_luts, used)


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
