"""Accuracy against storage: perplexity of every design point, and the frontier with published points."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from nmforge.core.lazy import mpl_ticker, pd
from nmforge.reporting.figures.registry import REGISTRY, Drawing
from nmforge.reporting.query import Tables
from nmforge.reporting.style import (
    DASHED,
    DOUBLE,
    FAINT,
    INK,
    QUIET,
    blank,
    colour,
    colours,
    foot,
    foot_height,
    measured,
    series_names,
    tidy,
    unmeasured,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ["design_id", "series", "mode", "ppl", "ratio_to_dense", "bits_per_weight", "kind"]

# LLaMA-2-7B, WikiText-2 at 2048 tokens, dense 5.47: (name, b/w, ppl, where it was published).
DENSE_ANCHOR = 5.47
ANCHORS = [
    ("GPTQ INT4", 4.125, 5.69, "AWQ, table 4"),
    ("GPTQ INT3", 3.125, 6.43, "AWQ, table 4"),
    ("2:4 SparseGPT + OPTQ", 3.125, 12.07, "SLiM, table 10"),
    ("2:4 MaskLLM", 3.125, 7.6, "SLiM, table 3"),
]
CEILING = 10  # times dense: points beyond are named above the panel, so that the others have room
TICKS = (1, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)  # times dense
LINE = 0.13  # inches a name needs
# Columns of names in the right panel: points from .. to b/w, where their names stand, and how they are aligned.
NAMES = [(0, 2.3, 2.35, "left"), (2.3, 3.15, 2.6, "right"), (3.15, 8, 4.45, "left")]


def data(tables: Tables) -> pd.DataFrame:
    """One row per design point and mode of the first model, then the published anchors."""
    accuracy = tables["accuracy"]
    if accuracy.empty:
        return pd.DataFrame(columns=COLUMNS)
    rows = accuracy[accuracy["model"] == accuracy["model"].iloc[0]].copy()
    rows["series"] = series_names(rows)
    rows["kind"] = "ours"
    best = rows.groupby("design_id")["ppl"].transform("min")
    rows = rows.assign(best=best).sort_values(["best", "design_id", "mode"], kind="stable").drop(columns="best")
    both: pd.DataFrame = pd.concat([rows, _anchors()], ignore_index=True)
    return both


def _anchors() -> pd.DataFrame:
    """The published points."""
    return pd.DataFrame(
        [
            {
                "design_id": name, "series": name, "bits_per_weight": bits, "ppl": ppl, "kind": "published",
                "ratio_to_dense": ppl / DENSE_ANCHOR, "dataset": f"WikiText-2, LLaMA-2-7B ({source})",
            }
            for name, bits, ppl, source in ANCHORS
        ]
    )  # fmt: skip


def plot(rows: pd.DataFrame) -> Figure:
    """Left: every point and mode on a log axis of perplexity. Right: ratio to dense by bits per weight."""
    ours = rows[rows["kind"] == "ours"]
    if ours.empty:
        return unmeasured(DOUBLE, "accuracy: not measured here")
    text = _foot(ours)
    designs = list(dict.fromkeys(ours["design_id"]))
    under = foot_height(DOUBLE, text)
    height = max(1.9, 0.23 * len(designs))
    total = 0.42 + height + 0.42 + under
    figure = blank(DOUBLE, total)
    bottom = (under + 0.42) / total
    _points_by_design(figure.add_axes((0.175, bottom, 0.3, height / total)), ours, designs)
    _frontier(figure.add_axes((0.545, bottom, 0.445, height / total)), rows)
    foot(figure, text, 0.05 / total)
    return figure


def _foot(ours: pd.DataFrame) -> str:
    """How perplexity was measured, and what lines and squares are."""
    first = ours.iloc[0]
    return (
        f"Perplexity of {first['model']} on {int(first['tokens']):,} tokens of {first['dataset']}, sequences "
        f"of {int(first['seqlen'])}, stride {int(first['stride'])}. {measured(ours)}. Dashed: best dense "
        f"INT4 and INT3. Squares: published for LLaMA-2-7B on WikiText-2, dense {DENSE_ANCHOR} (AWQ table 4, "
        "SLiM tables 3 and 10)."
    )


def _points_by_design(axes: Axes, ours: pd.DataFrame, designs: list[str]) -> None:
    """One line per design point; filled: 16-bit activations, hollow: INT8 activations."""
    axes.set_xscale("log")
    for label, hollow in (("16-bit activations", False), ("INT8 activations", True)):
        rows, size = ours[(ours["mode"] == "w4a8") == hollow], 38 if hollow else 16
        edge = colours(rows["series"])
        y = [designs.index(design) for design in rows["design_id"]]
        face = "none" if hollow else edge
        axes.scatter(rows["ppl"], y, s=size, facecolors=face, edgecolors=edge, linewidths=1)
        axes.scatter([], [], s=size, facecolors="none" if hollow else INK, edgecolors=INK, label=label)
    _levels(axes, ours, vertical=True)
    for i, design in enumerate(designs):
        _write_perplexity(axes, ours[ours["design_id"] == design], i, float(ours["ppl"].max()))
    axes.set_yticks(range(len(designs)), designs)
    axes.set_ylim(len(designs) - 0.4, -0.6)
    low, high = ours["ppl"].min(), ours["ppl"].max()
    axes.set_xlim(low / 1.6, high * (3 if high > 100 * low else 1.6))
    axes.xaxis.set_minor_formatter(mpl_ticker.NullFormatter())
    axes.set_xlabel("perplexity (log scale)", labelpad=2)
    tidy(axes, "y")
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.55, 1.0), ncols=2, borderpad=0, handletextpad=0.1, columnspacing=0.8,
        borderaxespad=0.3,
    )  # fmt: skip


def _write_perplexity(axes: Axes, rows: pd.DataFrame, y: int, highest: float) -> None:
    """The perplexity of a design point with 16-bit activations, after its points, or before them at the right end.

    rows: of the design point. highest: perplexity of the worst one.
    """
    values = rows[rows["mode"] != "w4a8"]["ppl"]
    if values.empty:
        return
    value = float(values.iloc[0])
    text = f"{value:.1f}" if value < 1000 else f"{value:,.0f}"
    after = rows["ppl"].max() < highest / 10
    axes.annotate(
        text, (rows["ppl"].max() if after else rows["ppl"].min(), y), xytext=(6 if after else -6, 0),
        textcoords="offset points", fontsize=7, va="center", ha="left" if after else "right",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
    )  # fmt: skip


def _levels(axes: Axes, ours: pd.DataFrame, *, vertical: bool) -> None:
    """What 2:4 is compared with: a solid line at the dense model, dashed ones at the best dense INT4 and INT3 point."""
    column = "ppl" if vertical else "ratio_to_dense"
    for series in ("dense 16-bit", "dense INT4", "dense INT3"):
        rows = ours[(ours["series"] == series) & (ours["mode"] != "w4a8")]
        if len(rows):
            line = axes.axvline if vertical else axes.axhline
            style = "-" if series == "dense 16-bit" else DASHED
            line(float(rows[column].min()), color=colour(series), linewidth=0.9, linestyle=style, zorder=1)


def _frontier(axes: Axes, rows: pd.DataFrame) -> None:
    """Ratio to dense (log) against bits per weight; points above CEILING are named above the panel."""
    ours = rows[(rows["kind"] == "ours") & (rows["mode"] == "w4a16") & (rows["bits_per_weight"] < 8)]
    shown, beyond = ours[ours["ratio_to_dense"] <= CEILING], ours[ours["ratio_to_dense"] > CEILING]
    published = rows[rows["kind"] == "published"]
    axes.set_yscale("log")
    _levels(axes, rows[rows["kind"] == "ours"], vertical=False)
    axes.scatter(
        published["bits_per_weight"], published["ratio_to_dense"], s=20, marker="s", facecolors="white",
        edgecolors=QUIET, linewidths=0.9, zorder=2,
    )  # fmt: skip
    axes.scatter(shown["bits_per_weight"], shown["ratio_to_dense"], s=22, c=colours(shown["series"]), zorder=3)
    _frontier_axes(axes, 1.6 * max([3.0, *shown["ratio_to_dense"]]))
    named = pd.concat([shown, published])
    for low, high, x, align in NAMES:
        inside = (named["bits_per_weight"] >= low) & (named["bits_per_weight"] < high)
        _name_points(axes, named[inside], x, align)
    if len(beyond):
        note = ", ".join(f"{r['design_id']} {_times(r['ratio_to_dense'])}" for _, r in beyond.iterrows())
        axes.set_title(fill(f"above: {note}", 52), fontsize=7, fontweight="normal", color=QUIET)


def _frontier_axes(axes: Axes, highest: float) -> None:
    """Limits, ticks and labels of the right panel. highest: ratio to dense at its upper end."""
    axes.set_ylim(0.9, highest)
    axes.set_xlim(0, 6.9)
    axes.set_xticks(range(1, 7))
    axes.yaxis.set_major_locator(mpl_ticker.FixedLocator([tick for tick in TICKS if tick <= highest]))
    axes.yaxis.set_minor_locator(mpl_ticker.FixedLocator([]))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.set_xlabel("bits per weight, everything counted", labelpad=2)
    axes.set_ylabel("perplexity over dense (log scale)", labelpad=2)
    tidy(axes, "both")


def _times(ratio: float) -> str:
    """`5.79x` below a hundred, `62,679x` above."""
    return f"{ratio:.3g}x" if ratio < 100 else f"{ratio:,.0f}x"


def _name_points(axes: Axes, points: pd.DataFrame, x: float, align: str) -> None:
    """Names in a column at `x`, with leaders to their points."""
    points = points.sort_values("ratio_to_dense", kind="stable")
    leader = {"arrowstyle": "-", "color": FAINT, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
    places = _spread(axes, [float(ratio) for ratio in points["ratio_to_dense"]])
    for (_, row), y in zip(points.iterrows(), places, strict=True):
        axes.annotate(
            row["design_id"], (row["bits_per_weight"], row["ratio_to_dense"]), textcoords="data", xytext=(x, y),
            zorder=4, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3}, ha=align, va="center", fontsize=7,
            annotation_clip=False, color=colour(row["series"]) if row["kind"] == "ours" else QUIET, arrowprops=leader,
        )  # fmt: skip


def _spread(axes: Axes, wanted: list[float]) -> list[float]:
    """Places on a log axis for names at ascending values: pushed apart upwards, then kept inside the panel."""
    low, high = axes.get_ylim()
    inches = axes.get_window_extent().height / axes.figure.dpi
    gap = (high / low) ** (LINE / inches)
    places, floor = [], low * gap**0.5
    for value in wanted:
        places.append(max(value, floor))
        floor = places[-1] * gap
    ceiling = high / gap**0.5
    for i in reversed(range(len(places))):
        places[i] = min(places[i], ceiling)
        ceiling = places[i] / gap
    return places


SUMMARY = "perplexity against bits per weight, in both arithmetic modes"
CAPTION = (
    "Left: perplexity of every design point with 16-bit and INT8 activations. Right: what each bit per weight "
    "buys; a sparse point is better than a dense one of its size where it lies below it."
)
REGISTRY.add(Drawing("accuracy_frontier", SUMMARY, ("accuracy",), data, plot, order=50, caption=CAPTION))
