"""The array's utilisation against the bandwidth of its memory, simulated: sparse weights need more bytes a cycle."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nmforge.reporting.figures.style import (
    COLUMN,
    blank,
    colour,
    foot,
    foot_height,
    measured,
    rank,
    series_name,
    tidy,
    unmeasured,
)

TABLES = ("fpga",)
COLUMNS = ["series", "pattern", "rows", "cols", "lanes", "m", "n", "k", "memory_rate", "efficiency", "bytes_per_cycle"]
ARRAY = ["engine", "rows", "cols", "lanes", "m", "n", "k"]


def data(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
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
    chosen["series"] = [series_name(p, b) for p, b in zip(chosen["pattern"], chosen["bits"], strict=True)]
    chosen["order"] = chosen["series"].map(rank)
    return chosen.sort_values(["order", "memory_rate"], kind="stable").drop(columns="order")


def plot(rows: pd.DataFrame) -> Figure:
    """Points: simulated. Lines: the bound min(1, bandwidth / bytes a step needs), the refresh taken off."""
    if rows.empty:
        return unmeasured(COLUMN, "bandwidth: not measured here")
    first = rows.iloc[0]
    text = (
        f"RTL simulation of a random {int(first['n'])}x{int(first['k'])} layer, {int(first['m'])} tokens, on the "
        f"{int(first['rows'])}x{int(first['cols'])} {first['engine']} array, every sum equal to the reference. "
        "The memory starts a burst after 60 cycles and refreshes for 53 of every 1,170. "
        f"Lines: what its bandwidth allows. {measured(rows)}."
    )
    under = foot_height(COLUMN, text)
    height = 2.35 + under
    figure = blank(COLUMN, height)
    axes = figure.add_axes((0.14, (under + 0.42) / height, 0.83, 1.7 / height))
    limited = rows[rows["memory_rate"].notna()]
    last = float(limited["memory_rate"].max())
    rates = np.linspace(0, last, 200)
    lines = {str(series): _bound(points) for series, points in rows.groupby("series", sort=False)}
    for series, points in rows.groupby("series", sort=False):
        alike = [other for other, bound in lines.items() if np.isclose(bound, lines[str(series)], rtol=1e-3)]
        _curve(axes, str(series), points, rates, np.minimum(1, lines[str(series)] * rates), alike)
    axes.set_xlim(0, last)
    axes.set_ylim(0, 105)
    axes.set_xlabel("memory, bytes a cycle", labelpad=2)
    axes.set_ylabel("array used, % of ideal", labelpad=2)
    axes.legend(loc="lower right", handlelength=1.2)
    tidy(axes, "both")
    foot(figure, text, 0.05 / height)
    return figure


def _bound(points: pd.DataFrame) -> float:
    """Share of the array that a byte a cycle of memory feeds, the refresh taken off."""
    limited = points[points["memory_rate"].notna()]
    needed = float((limited["bytes_per_cycle"] / limited["efficiency"]).median())  # bytes of a step
    sustained = float((limited["bytes_per_cycle"] / limited["memory_share"] / limited["memory_rate"]).median())
    return sustained / needed


def _curve(
    axes: Axes, series: str, points: pd.DataFrame, rates: np.ndarray, bound: np.ndarray, alike: list[str]
) -> None:  # fmt: skip
    """One pattern: its simulated points and the line of its bound.

    bound: the share of the array that memories of `rates` bytes a cycle feed. alike: the series that have this line, in
    the order they are drawn; each leaves room for the others.
    """
    limited, place = points[points["memory_rate"].notna()], alike.index(series)
    axes.plot(
        limited["memory_rate"], 100 * limited["efficiency"], linestyle="", marker="o",
        markersize=3.2 + 1.6 * (len(alike) - 1 - place), color=colour(series), zorder=4, label=series, clip_on=False,
    )  # fmt: skip
    dashes = (6.0 * place, (6.0, 6.0 * (len(alike) - 1))) if len(alike) > 1 else "-"
    axes.plot(rates, 100 * bound, color=colour(series), linewidth=0.9, linestyle=dashes)
