"""One look for every figure: sizes, fonts, the colour of each format, direct labels and the foot line.

Colours are Okabe and Ito's colour-blind safe set; a format keeps its colour in every figure.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from nmforge.core.lazy import mpl_figure, plt, sns
from nmforge.reporting.paper import PAPER
from nmforge.reporting.query import device_name, pattern_name

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, DOUBLE = 3.4, 7.0  # inches: one column of a two-column paper, and both
CLAIMED = f"claimed ({PAPER})"
DASHED = (0, (4, 2.5))  # line style of what is compared with
INK, QUIET, FAINT = "#222222", "#666666", "#BBBBBB"

COLOURS = {
    "dense 16-bit": "#8C8C8C",
    "dense INT4": "#0072B2",
    "dense INT3": "#E69F00",
    "2:4 INT4": "#009E73",
    "2:4+dense INT4": "#7FCBB3",
    "4:8 INT4": "#CC79A7",
    "1:4 INT4": "#D55E00",
}
OTHER = "#56B4E9"  # any format a user adds

RC: dict[Any, object] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "figure.titlesize": 8,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.6,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 2.5,
    "ytick.major.size": 0,
    "xtick.major.width": 0.6,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlepad": 5,
    "hatch.linewidth": 0.6,
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
    "legend.frameon": False,
}


@contextmanager
def styled() -> Iterator[None]:
    """Seaborn's white style with the settings above, for the block only."""
    with sns.axes_style("white"), plt.rc_context(RC):
        yield


def series_name(pattern: object, bits: int) -> str:
    """`dense 16-bit`, `dense INT3`, `2:4 INT4`: the name a format has in legends and tables."""
    number = "16-bit" if bits == 16 else "fp32" if bits == 32 else f"INT{bits}"
    return f"{pattern_name(pattern)} {number}"


def series_names(rows: pd.DataFrame) -> list[str]:
    """The format of every row, from its pattern and bits."""
    return [series_name(pattern, int(bits)) for pattern, bits in zip(rows["pattern"], rows["bits"], strict=True)]


def colours(names: Iterable[str]) -> list[str]:
    """Colours of several formats."""
    return [colour(name) for name in names]


def colour(series: str) -> str:
    """Colour of a format."""
    return COLOURS["dense 16-bit"] if series == "dense fp32" else COLOURS.get(series, OTHER)


def rank(series: str) -> int:
    """Place of a format in a legend or on an axis: dense first, then sparse, unknown ones last."""
    order = ["dense fp32", *COLOURS]
    return order.index(series) if series in order else len(order)


def write_value(axes: Axes, text: str, x: float, y: float) -> None:
    """Write a bar's value after its end, on white so that no line crosses it."""
    axes.annotate(
        text,
        (x, y),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
        color=INK,
        zorder=5,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
    )


def blank(width: float, height: float) -> Figure:
    """An empty figure of the given size in inches, free of pyplot's global state."""
    return mpl_figure.Figure(figsize=(width, height))


def tidy(axes: Axes, grid: Literal["x", "y", "both"] = "x") -> None:
    """Remove the top and right side of the frame and draw a light grid below the data."""
    sns.despine(ax=axes)
    axes.grid(visible=True, axis=grid)
    axes.set_axisbelow(True)


def wrapped_lines(text: str, width: float) -> list[str]:
    """Lines of 7-point text for a figure `width` inches wide; a number and its percent sign stay together."""
    return textwrap.wrap(text.replace(" %", "\N{NO-BREAK SPACE}%"), int(width * 72 / 3.85))


def foot(figure: Figure, text: str, bottom: float = 0.015) -> None:
    """The line at the foot that says where the numbers came from, wrapped to the figure's width."""
    wrapped = "\n".join(wrapped_lines(text, figure.get_figwidth()))
    figure.text(0.012, bottom, wrapped, fontsize=7, color=QUIET, va="bottom", ha="left", linespacing=1.2)


def foot_height(width: float, text: str) -> float:
    """Inches the foot line needs, so that a figure can leave room for it."""
    return 0.06 + 0.118 * len(wrapped_lines(text, width))


def unmeasured(width: float, text: str) -> Figure:
    """A figure without data: one sentence says what was not measured."""
    figure = blank(width, 1.2)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=QUIET, fontsize=7.5)
    return figure


def bar_rows(axes: Axes, labels: list[str], *, named: bool = True, pad: float = 0.4) -> None:
    """Rows of a horizontal bar chart from the top: one for each label, which the axes shows where `named`."""
    axes.set_ylim(len(labels) - pad, pad - 1)
    axes.set_yticks(range(len(labels)), labels if named else [""] * len(labels))


def reference_line(axes: Axes, value: float, text: str) -> None:
    """A dashed vertical line with its name written above its upper end."""
    axes.axvline(value, color=INK, linewidth=0.8, linestyle=DASHED, zorder=3)
    axes.annotate(
        text,
        (value, 1),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        xytext=(-2, 2),
        ha="left",
        va="bottom",
        fontsize=7,
        color=INK,
    )


def measured(rows: pd.DataFrame) -> str:
    """`Measured on <device>, <date>, commit <short hash>` for the rows drawn, from their provenance columns."""
    if rows.empty:
        return "Nothing measured"
    column = "device" if "device" in rows and rows["device"].notna().any() else "host"
    names = "; ".join(sorted({device_name(name) for name in rows[column].dropna()}))
    dates = sorted({str(date)[:10] for date in rows["date"]})
    day = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"Measured on {names}, {day}{commits(rows)}"


def commits(rows: pd.DataFrame) -> str:
    """`, commit 1234567` for the rows drawn, or `, 3 commits` where they come from several; empty where unknown."""
    known = sorted({str(commit) for commit in rows["commit"].dropna()}) if "commit" in rows else []
    if not known:
        return ""
    if len(known) > 1:
        return f", {len(known)} commits"
    changed = "+" if known[0].endswith("+") else ""
    return f", commit {known[0].rstrip('+')[:7]}{changed}"
