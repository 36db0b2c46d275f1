"""Accuracy against storage: perplexity of every design point, and the frontier beside published points."""

from __future__ import annotations

from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from nmforge.reporting.figures.style import (
    DOUBLE,
    FAINT,
    INK,
    QUIET,
    blank,
    colour,
    foot,
    foot_height,
    measured,
    series_name,
    tidy,
    unmeasured,
)

TABLES = ("accuracy",)
COLUMNS = ["design_id", "series", "mode", "ppl", "ratio_to_dense", "bits_per_weight", "kind"]

# LLaMA-2-7B, WikiText-2 at 2048 tokens, dense 5.47: (name, b/w, ppl, where it was published).
DENSE_ANCHOR = 5.47
ANCHORS = [
    ("GPTQ INT4", 4.125, 5.69, "AWQ, table 4"),
    ("GPTQ INT3", 3.125, 6.43, "AWQ, table 4"),
    ("2:4 SparseGPT + OPTQ", 3.125, 12.07, "SLiM, table 10"),
    ("2:4 MaskLLM", 3.125, 7.6, "SLiM, table 3"),
]
CEILING = 10  # times dense: points beyond are named over the panel, and the rest has the room
LINE = 0.13  # inches a name needs
# Columns of names in the right panel: points from .. to b/w, where their names stand, and how they are aligned.
NAMES = [(0, 2.3, 2.35, "left"), (2.3, 3.15, 2.6, "right"), (3.15, 8, 4.45, "left")]


def data(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per design point and mode of the first model, then the published anchors."""
    accuracy = tables["accuracy"]
    if accuracy.empty:
        return pd.DataFrame(columns=COLUMNS)
    rows = accuracy[accuracy["model"] == accuracy["model"].iloc[0]].copy()
    rows["series"] = [series_name(p, b) for p, b in zip(rows["pattern"], rows["bits"], strict=True)]
    rows["kind"] = "ours"
    best = rows.groupby("design_id")["ppl"].transform("min")
    rows = rows.assign(best=best).sort_values(["best", "design_id", "mode"], kind="stable").drop(columns="best")
    anchors = pd.DataFrame(
        [
            {
                "design_id": name,
                "series": name,
                "bits_per_weight": bw,
                "ppl": ppl,
                "kind": "published",
                "ratio_to_dense": ppl / DENSE_ANCHOR,
                "dataset": f"WikiText-2, LLaMA-2-7B ({source})",
            }
            for name, bw, ppl, source in ANCHORS
        ]
    )
    both: pd.DataFrame = pd.concat([rows, anchors], ignore_index=True)
    return both


def plot(rows: pd.DataFrame) -> Figure:
    """Left: every point and mode on a log axis of perplexity. Right: ratio to dense by bits per weight."""
    ours = rows[rows["kind"] == "ours"]
    if ours.empty:
        return unmeasured(DOUBLE, "accuracy: not measured here")
    first = ours.iloc[0]
    text = (
        f"Perplexity of {first['model']} on {int(first['tokens']):,} tokens of {first['dataset']}, windows "
        f"of {int(first['seqlen'])}, stride {int(first['stride'])}. {measured(ours)}. Dashed: best dense "
        "INT4 and INT3. Squares: published for LLaMA-2-7B on WikiText-2, dense 5.47 (AWQ table 4, "
        "SLiM tables 3 and 10)."
    )
    designs = list(dict.fromkeys(ours["design_id"]))
    under = foot_height(DOUBLE, text)
    height = max(1.9, 0.23 * len(designs))
    total = 0.42 + height + 0.42 + under
    figure = blank(DOUBLE, total)
    bottom = (under + 0.42) / total
    _dots(figure.add_axes((0.175, bottom, 0.3, height / total)), ours, designs)
    _frontier(figure.add_axes((0.545, bottom, 0.445, height / total)), rows)
    foot(figure, text, 0.05 / total)
    return figure


def _dots(axes: Axes, ours: pd.DataFrame, designs: list[str]) -> None:
    """One line per design point; filled: 16-bit activations, hollow: INT8 activations."""
    axes.set_xscale("log")
    for name, label, hollow in (("w4a16", "16-bit activations", False), ("w4a8", "INT8 activations", True)):
        rows = ours[(ours["mode"] == name) | ((ours["mode"] == "bf16") & (not hollow))]
        edge = [colour(s) for s in rows["series"]]
        y = [designs.index(d) for d in rows["design_id"]]
        axes.scatter(
            rows["ppl"],
            y,
            s=38 if hollow else 16,
            facecolors="none" if hollow else edge,
            edgecolors=edge,
            linewidths=1,
        )
        axes.scatter([], [], s=38 if hollow else 16, facecolors="none" if hollow else INK, edgecolors=INK, label=label)
    _levels(axes, ours, vertical=True)
    worst = ours.groupby("design_id")["ppl"].max()
    for i, design in enumerate(designs):
        values = ours[(ours["design_id"] == design) & ours["mode"].isin(["w4a16", "bf16"])]["ppl"]
        if len(values):
            value = float(values.iloc[0])
            text = f"{value:.1f}" if value < 1000 else f"{value:,.0f}"
            right = worst[design] < ours["ppl"].max() / 10
            axes.annotate(
                text,
                (worst[design] if right else ours[ours["design_id"] == design]["ppl"].min(), i),
                xytext=(6 if right else -6, 0),
                textcoords="offset points",
                fontsize=7,
                va="center",
                ha="left" if right else "right",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
            )
    axes.set_yticks(range(len(designs)), designs)
    axes.set_ylim(len(designs) - 0.4, -0.6)
    low, high = ours["ppl"].min(), ours["ppl"].max()
    axes.set_xlim(low / 1.6, high * (3 if high > 100 * low else 1.6))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("perplexity (log scale)", labelpad=2)
    tidy(axes, "y")
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.55, 1.0),
        ncols=2,
        borderpad=0,
        handletextpad=0.1,
        columnspacing=0.8,
        borderaxespad=0.3,
    )


def _levels(axes: Axes, ours: pd.DataFrame, *, vertical: bool) -> None:
    """Dashed lines at the best dense INT4 and INT3 points, solid at the dense model: the rivals of 2:4."""
    column = "ppl" if vertical else "ratio_to_dense"
    for series in ("dense 16-bit", "dense INT4", "dense INT3"):
        rows = ours[(ours["series"] == series) & (ours["mode"] != "w4a8")]
        if len(rows):
            line = axes.axvline if vertical else axes.axhline
            style = "-" if series == "dense 16-bit" else (0, (4, 2.5))
            line(float(rows[column].min()), color=colour(series), linewidth=0.9, linestyle=style, zorder=1)


def _frontier(axes: Axes, rows: pd.DataFrame) -> None:
    """Ratio to dense (log) against bits per weight; points above CEILING are named over the panel."""
    ours = rows[(rows["kind"] == "ours") & (rows["mode"] == "w4a16") & (rows["bits_per_weight"] < 8)]
    shown, beyond = ours[ours["ratio_to_dense"] <= CEILING], ours[ours["ratio_to_dense"] > CEILING]
    published = rows[rows["kind"] == "published"]
    axes.set_yscale("log")
    _levels(axes, rows[rows["kind"] == "ours"], vertical=False)
    axes.scatter(
        published["bits_per_weight"],
        published["ratio_to_dense"],
        s=20,
        marker="s",
        facecolors="white",
        edgecolors=QUIET,
        linewidths=0.9,
        zorder=2,
    )
    axes.scatter(
        shown["bits_per_weight"],
        shown["ratio_to_dense"],
        s=22,
        c=[colour(s) for s in shown["series"]],
        zorder=3,
    )
    highest = max([3.0, *shown["ratio_to_dense"]])
    axes.set_ylim(0.9, highest * 1.6)
    axes.set_xlim(0, 6.9)
    axes.set_xticks(range(1, 7))
    named = pd.concat([shown, published])
    for low, high, x, align in NAMES:
        inside = (named["bits_per_weight"] >= low) & (named["bits_per_weight"] < high)
        _name_points(axes, named[inside], x, align)
    ticks = [tick for tick in (1, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000) if tick <= highest * 1.6]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(FixedLocator([]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    axes.set_xlabel("bits per weight, everything counted", labelpad=2)
    axes.set_ylabel("perplexity over dense (log scale)", labelpad=2)
    tidy(axes, "both")
    if len(beyond):
        note = ", ".join(f"{r['design_id']} {_times(r['ratio_to_dense'])}" for _, r in beyond.iterrows())
        axes.set_title(fill(f"above: {note}", 52), fontsize=7, fontweight="normal", color=QUIET)


def _times(ratio: float) -> str:
    """`5.79x` below a hundred, `62,679x` above."""
    return f"{ratio:.3g}x" if ratio < 100 else f"{ratio:,.0f}x"


def _name_points(axes: Axes, points: pd.DataFrame, x: float, align: str) -> None:
    """Names in a column at `x`, with leaders to their points, pushed apart upwards and kept inside the panel."""
    if points.empty:
        return
    side = points.sort_values("ratio_to_dense", kind="stable")
    low, high = axes.get_ylim()
    inches = axes.get_window_extent().height / axes.figure.dpi
    gap = (high / low) ** (LINE / inches)
    places, floor = [], low * gap**0.5
    for ratio in side["ratio_to_dense"]:
        places.append(max(float(ratio), floor))
        floor = places[-1] * gap
    ceiling = high / gap**0.5
    for i in range(len(places) - 1, -1, -1):
        places[i] = min(places[i], ceiling)
        ceiling = places[i] / gap
    for (_, row), y in zip(side.iterrows(), places, strict=True):
        axes.annotate(
            row["design_id"],
            (row["bits_per_weight"], row["ratio_to_dense"]),
            textcoords="data",
            xytext=(x, y),
            zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3},
            ha=align,
            va="center",
            fontsize=7,
            annotation_clip=False,
            color=colour(row["series"]) if row["kind"] == "ours" else QUIET,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2},
        )
