"""Kernels on the roofline of this machine: multiply-adds a second against those per byte of weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nmforge.reporting.figures.style import (
    COLUMN,
    INK,
    QUIET,
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
from nmforge.reporting.query import at, library_name, most_threads, on_platform

TABLES = ("kernels", "limits")
COLUMNS = ["kind", "name", "series", "family", "m", "intensity", "rate", "threads"]
MARKERS = ["o", "s", "^", "D", "v"]


def data(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Points (streamed, 4096x4096, most threads) and the two limits: a read of memory that took
    turns with them, and the INT8 peak measured behind them.

    `intensity` is dense multiply-adds per byte of weights, `rate` dense multiply-adds a second (of a limit: its value).
    """
    kernels, limits = tables["kernels"], tables["limits"]
    points = most_threads(at(on_platform(kernels, "CPU"), n=4096, k=4096, cache="streamed", stage="matmul"))
    points = points[points["family"] != "paper"] if len(points) else points
    lines = most_threads(limits)
    lines = lines[lines["quantity"] == "int8_peak"] if len(lines) else lines
    read = most_threads(at(on_platform(kernels, "CPU"), n=4096, k=4096, cache="streamed", stage="read", m=1))
    if points.empty or lines.empty or read.empty:
        return pd.DataFrame(columns=COLUMNS)
    macs = points["m"].astype(float) * points["n"] * points["k"]
    drawn = points.assign(
        kind="kernel",
        name=points["kernel"],
        series=[series_name(p, b) for p, b in zip(points["pattern"], points["bits"], strict=True)],
        intensity=macs / points["weight_bytes"],
        rate=macs / points["median_us"] * 1e6,
    )
    drawn = drawn[drawn["series"] != "dense fp32"].sort_values("rate", ascending=False, kind="stable")
    drawn = drawn.drop_duplicates(["family", "series", "m"]).sort_values(["m", "family", "series"], kind="stable")
    memory = read.assign(kind="limit", name="memory", rate=read["weight_bytes"] / read["median_us"] * 1e6)
    peak = lines.assign(kind="limit", name="int8_peak", rate=lines["value"])
    return pd.concat([drawn, memory, peak], ignore_index=True)


def plot(rows: pd.DataFrame) -> Figure:
    """Log-log axes: the slope of memory and the ceiling of the multipliers; ours filled, libraries hollow."""
    if rows.empty:
        return unmeasured(COLUMN, "roofline: not measured here")
    points = rows[rows["kind"] == "kernel"]
    text = _foot(rows, points)
    under = foot_height(COLUMN, text)
    height = 2.9 + under
    figure = blank(COLUMN, height)
    axes = figure.add_axes((0.14, (under + 0.42) / height, 0.84, 2.2 / height))
    _limits(axes, rows, points)
    sizes = sorted({int(m) for m in points["m"]})
    for row in points.to_dict("records"):
        face = colour(row["series"]) if row["family"] == "ours" else "white"
        axes.plot(
            row["intensity"], row["rate"] / 1e9, marker=MARKERS[sizes.index(row["m"])], markersize=4.5, linestyle="",
            markerfacecolor=face, markeredgecolor=colour(row["series"]), markeredgewidth=1.0, zorder=5,
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="dense multiply-adds per byte of weights", ylabel="10$^9$ per second")
    axes.set_title("Kernels on the roofline, N = K = 4096")
    tidy(axes, "both")
    _legend(axes, points, sizes)
    foot(figure, text, 0.05 / height)
    return figure


def _limits(axes: Axes, rows: pd.DataFrame, points: pd.DataFrame) -> None:
    value = rows[rows["kind"] == "limit"].set_index("name")["rate"] / 1e9
    low, high = points["intensity"].min() / 1.6, points["intensity"].max() * 2.5
    x = np.geomspace(low, high, 200)
    axes.plot(x, np.minimum(x * value["memory"], value["int8_peak"]), color=INK, linewidth=0.9, zorder=3)
    axes.set_xlim(low, high)
    axes.set_ylim(points["rate"].min() / 1e9 / 2, value["int8_peak"] * 2.2)
    knee = value["int8_peak"] / value["memory"]
    _label(axes, f"INT8 peak {value['int8_peak']:,.0f}", (knee, value["int8_peak"]), (0, 2), "right", "bottom")
    _label(axes, f"memory {value['memory']:.0f} GB/s", (2.5 * low, 2.5 * low * value["memory"]), (5, -2), "left", "top")


def _label(
    axes: Axes, text: str, at: tuple[float, float], shift: tuple[float, float], across: str, up: str
) -> None:  # fmt: skip
    axes.annotate(text, at, xytext=shift, textcoords="offset points", ha=across, va=up, fontsize=7)


def _legend(axes: Axes, points: pd.DataFrame, sizes: list[int]) -> None:
    series = sorted(set(points["series"]), key=rank)
    handles = [Line2D([], [], marker="o", linestyle="", color=colour(s), markersize=4, label=s) for s in series]
    handles += [
        Line2D([], [], marker=MARKERS[i], linestyle="", color=QUIET, markersize=4, label=f"M = {m}")
        for i, m in enumerate(sizes)
    ]
    axes.legend(handles=handles, loc="lower right", handletextpad=0.1, labelspacing=0.25, borderpad=0.2)


def _foot(rows: pd.DataFrame, points: pd.DataFrame) -> str:
    libraries = sorted({library_name(name) for name in points[points["family"] == "library"]["name"]})
    threads = int(points["threads"].max())
    return (
        f"Filled: ours; hollow: the fastest of {', '.join(libraries)}. Weights streamed from memory, {threads} "
        f"thread{'s' if threads != 1 else ''}. Sparse kernels skip multiplications: their ceiling is higher. "
        f"{measured(rows)}."
    )
