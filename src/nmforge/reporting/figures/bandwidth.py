"""The array's utilization against the bandwidth of its memory, simulated: sparse weights need more bytes a cycle."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from typing import TYPE_CHECKING

from nmforge.core.lazy import pd
from nmforge.fpga.model.memory import DDR4_LATENCY, DDR4_REFRESH_CYCLES, DDR4_REFRESH_INTERVAL
from nmforge.reporting.figures.registry import REGISTRY, Drawing
from nmforge.reporting.query import Tables
from nmforge.reporting.style import (
    COLUMN,
    blank,
    colour,
    foot,
    foot_height,
    measured,
    rank,
    series_names,
    tidy,
    unmeasured,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ["series", "pattern", "rows", "cols", "lanes", "m", "n", "k", "memory_rate", "efficiency", "bytes_per_cycle"]
ARRAY = ["engine", "rows", "cols", "lanes", "m", "n", "k"]


@dataclass(frozen=True, eq=False)
class Curve:
    """One pattern: its simulated points, and the share of the array that a byte a cycle of memory feeds."""

    series: str
    points: pd.DataFrame
    slope: float


def data(tables: Tables) -> pd.DataFrame:
    """Rows of the random layer with the most points: one engine, several patterns, memories and none (no rate)."""
    fpga = tables["fpga"]
    rows = fpga[fpga["stage"] == "random"] if len(fpga) else fpga
    rows = rows[rows["board"].isna()] if "board" in rows else rows
    if rows.empty or rows["memory_rate"].isna().all():
        return pd.DataFrame(columns=COLUMNS)
    limited = rows[rows["memory_rate"].notna()]
    sizes = limited.groupby(ARRAY, sort=False).size()
    most = sizes.index[int(sizes.argmax())]
    chosen = rows[(rows[ARRAY] == list(most)).all(axis=1)].copy()
    chosen["series"] = series_names(chosen)
    chosen["order"] = chosen["series"].map(rank)
    return chosen.sort_values(["order", "memory_rate"], kind="stable").drop(columns="order")


def plot(rows: pd.DataFrame) -> Figure:
    """Points: simulated. Lines: the bound min(1, bandwidth / bytes a step needs), time for refresh taken off."""
    if rows.empty:
        return unmeasured(COLUMN, "bandwidth: not measured here")
    text = _foot(rows)
    under = foot_height(COLUMN, text)
    height = 2.35 + under
    figure = blank(COLUMN, height)
    axes = figure.add_axes((0.14, (under + 0.42) / height, 0.83, 1.7 / height))
    limited = rows[rows["memory_rate"].notna()]
    last = float(limited["memory_rate"].max())
    curves = [Curve(str(name), points, _slope(points)) for name, points in limited.groupby("series", sort=False)]
    for curve in curves:
        _draw(axes, curve, last, [other for other in curves if isclose(other.slope, curve.slope, rel_tol=1e-3)])
    axes.set_xlim(0, last)
    axes.set_ylim(0, 105)
    axes.set_xlabel("memory, bytes a cycle", labelpad=2)
    axes.set_ylabel("array used, % of ideal", labelpad=2)
    axes.legend(loc="lower right", handlelength=1.2)
    tidy(axes, "both")
    foot(figure, text, 0.05 / height)
    return figure


def _slope(limited: pd.DataFrame) -> float:
    """Share of the array that a byte a cycle of memory feeds, time for refresh taken off."""
    needed = float((limited["bytes_per_cycle"] / limited["efficiency"]).median())  # bytes of a step
    sustained = float((limited["bytes_per_cycle"] / limited["memory_share"] / limited["memory_rate"]).median())
    return sustained / needed


def _draw(axes: Axes, curve: Curve, last: float, alike: list[Curve]) -> None:
    """The simulated points of one pattern and the line of its bound.

    last: bytes a cycle at the end of the axis. alike: the curves with this line, in the order they are drawn; their
    markers differ in size and their dashes alternate, so that all are seen.
    """
    place, shade = alike.index(curve), colour(curve.series)
    axes.plot(
        curve.points["memory_rate"], 100 * curve.points["efficiency"], linestyle="", marker="o",
        markersize=3.2 + 1.6 * (len(alike) - 1 - place), color=shade, zorder=4, label=curve.series, clip_on=False,
    )  # fmt: skip
    dashes = (6.0 * place, (6.0, 6.0 * (len(alike) - 1))) if len(alike) > 1 else "-"
    rates = sorted({0.0, min(1 / curve.slope, last), last})
    axes.plot(rates, [100 * min(1, curve.slope * rate) for rate in rates], color=shade, linewidth=0.9, linestyle=dashes)


def _foot(rows: pd.DataFrame) -> str:
    """The layer, the array and the memory."""
    first = rows.iloc[0]
    return (
        f"RTL simulation of a random {int(first['n'])}x{int(first['k'])} layer, {int(first['m'])} tokens, on the "
        f"{int(first['rows'])}x{int(first['cols'])} {first['engine']} array, every sum equal to the reference. "
        f"The memory starts a burst after {DDR4_LATENCY} cycles and refreshes for {DDR4_REFRESH_CYCLES} of every "
        f"{DDR4_REFRESH_INTERVAL:,}. "
        f"Lines: what its bandwidth allows. {measured(rows)}."
    )


SUMMARY = "utilization of the array against the bandwidth of its memory"
CAPTION = (
    "Share of its own ideal rate that the simulated array keeps, against the bandwidth of its memory. A sparse format "
    "needs a faster memory to fill the same multipliers."
)
REGISTRY.add(Drawing("bandwidth", SUMMARY, ("fpga",), data, plot, order=80, caption=CAPTION))
