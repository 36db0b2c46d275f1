"""Kernels on the roofline of this machine: multiply-adds a second against those per byte of weights."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any

from nmforge.core.lazy import mpl_lines, pd
from nmforge.reporting.figures.registry import REGISTRY, Drawing
from nmforge.reporting.query import LIBRARY, Tables, at, library_name, most_threads, on_platform, pattern_name
from nmforge.reporting.style import (
    COLUMN,
    INK,
    QUIET,
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

COLUMNS = ["kind", "name", "series", "family", "m", "intensity", "rate", "threads"]
MARKERS = "os^Dv"  # one for each M, from the smallest; then again from the first


def data(tables: Tables) -> pd.DataFrame:
    """Points (streamed, 4096x4096, most threads) and the two limits: the fastest read of weights in this run, and the
    INT8 peak that was measured after the kernels.

    `intensity` is executed multiply-adds per byte of weights, `rate` those a second (of a limit: its value).
    """
    kernels, limits = at(on_platform(tables["kernels"], "CPU"), n=4096, k=4096, cache="streamed"), tables["limits"]
    points = most_threads(at(kernels, stage="matmul"))
    points = points[points["family"] != "baseline"] if len(points) else points
    peak = at(most_threads(limits), quantity="int8_peak")
    read = most_threads(at(kernels, stage="read", m=1))
    if points.empty or peak.empty or read.empty:
        return pd.DataFrame(columns=COLUMNS)
    memory = _fastest_read(pd.concat([read, points])).assign(kind="limit", name="memory")
    peak = peak.assign(kind="limit", name="int8_peak", rate=peak["value"])
    return pd.concat([_kernels(points), memory, peak], ignore_index=True)


def _fastest_read(rows: pd.DataFrame) -> pd.DataFrame:
    """The row that took the most bytes of weights a second from memory, that number in its column `rate`.

    A machine's memory drifts between the turns of a run: the read of one group of kernels does not bound another.
    """
    rated = rows.assign(rate=rows["weight_bytes"] / rows["median_us"] * 1e6)
    return rated.sort_values("rate", ascending=False, kind="stable").iloc[:1]


def _kept(pattern: object) -> float:
    """The share of its multiplications that a kernel of this pattern executes: 0.5 for 2:4, 1 for dense."""
    keep, colon, of = pattern_name(pattern).partition(":")
    return int(keep) / int(of) if colon and of.isdigit() else 1.0


def _kernels(points: pd.DataFrame) -> pd.DataFrame:
    """The fastest kernel of each family, format and M."""
    macs = points["m"].astype(float) * points["n"] * points["k"] * points["pattern"].map(_kept)
    drawn = points.assign(
        kind="kernel",
        name=points["kernel"],
        series=series_names(points),
        intensity=macs / points["weight_bytes"],
        rate=macs / points["median_us"] * 1e6,
    )
    drawn = drawn[drawn["series"] != "dense fp32"].sort_values("rate", ascending=False, kind="stable")
    keys = ["m", "family", "series"]
    return drawn.drop_duplicates(keys).sort_values(keys, kind="stable")


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
    markers = dict(zip(sorted({int(m) for m in points["m"]}), cycle(MARKERS), strict=False))
    for row in points.to_dict("records"):
        face = colour(row["series"]) if row["family"] == "nmforge" else "white"
        axes.plot(
            row["intensity"], row["rate"] / 1e9, marker=markers[row["m"]], markersize=4.5, linestyle="",
            markerfacecolor=face, markeredgecolor=colour(row["series"]), markeredgewidth=1.0, zorder=5,
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="executed multiply-adds per byte of weights")
    axes.set_ylabel("10$^9$ multiply-adds per second", labelpad=2)
    axes.set_title("Kernels on the roofline, N = K = 4096")
    tidy(axes, "both")
    _legend(axes, points, markers)
    foot(figure, text, 0.05 / height)
    return figure


def _limits(axes: Axes, rows: pd.DataFrame, points: pd.DataFrame) -> None:
    """min(memory * intensity, peak): two segments on log-log axes, which meet at the knee."""
    value = rows[rows["kind"] == "limit"].set_index("name")["rate"] / 1e9
    memory, peak = float(value["memory"]), float(value["int8_peak"])
    low, high = float(points["intensity"].min()) / 1.6, float(points["intensity"].max()) * 2.5
    knee = peak / memory
    x = sorted({low, high, min(max(knee, low), high)})
    axes.plot(x, [min(intensity * memory, peak) for intensity in x], color=INK, linewidth=0.9, zorder=3)
    axes.set_xlim(low, high)
    axes.set_ylim(points["rate"].min() / 1e9 / 2, peak * 2.2)
    style: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7}
    axes.annotate(f"INT8 peak {peak:,.0f}", (knee, peak), xytext=(0, 2), ha="right", va="bottom", **style)
    place = (2.5 * low, 2.5 * low * memory)
    axes.annotate(f"memory {memory:.0f} GB/s", place, xytext=(5, -2), ha="left", va="top", **style)


def _legend(axes: Axes, points: pd.DataFrame, markers: Mapping[int, str]) -> None:
    """A colour for each format and a marker for each M."""
    series = sorted(set(points["series"]), key=rank)
    marks = [("o", colour(name), name) for name in series]
    marks += [(marker, QUIET, f"M = {m}") for m, marker in markers.items()]
    handles = [
        mpl_lines.Line2D([], [], marker=marker, linestyle="", color=shade, markersize=4, label=label)
        for marker, shade, label in marks
    ]
    axes.legend(handles=handles, loc="lower right", handletextpad=0.1, labelspacing=0.25, borderpad=0.2)


def _foot(rows: pd.DataFrame, points: pd.DataFrame) -> str:
    """What the marks mean, and where the rows were measured."""
    libraries = sorted({library_name(name) for name in points[points["family"] == LIBRARY]["name"]})
    threads = int(points["threads"].max())
    return (
        f"Filled: ours; hollow: the fastest of {', '.join(libraries)}. Weights streamed from memory, {threads} "
        f"thread{'s' if threads != 1 else ''}. Multiplications that a sparse kernel skips do not count. Memory: the "
        "fastest read of weights in these rows. "
        f"{measured(rows)}."
    )


SUMMARY = "the kernels on the roofline of this machine"
CAPTION = (
    "At small M a kernel waits for memory, so fewer bytes are what makes it faster; at larger M the "
    "multipliers set the limit. Only executed multiplications count, so no kernel can pass the peak."
)
REGISTRY.add(Drawing("roofline", SUMMARY, ("kernels", "limits"), data, plot, order=30, caption=CAPTION))
