"""LLaMA-7B decode: speed of each format on each machine, and the array's gain at equal clock.

Whole models are decoded in groups that are alternated, and a machine's speed drifts between groups: they are drawn
relative to the 2:4 INT4 of their own group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmforge.core.lazy import pd
from nmforge.reporting.figures.registry import REGISTRY, Drawing
from nmforge.reporting.paper import LLAMA7B, PAPER
from nmforge.reporting.query import LIBRARY, WHOLE_MODEL, Tables, at, headline_context, library_name, most_threads
from nmforge.reporting.style import (
    COLUMN,
    DASHED,
    INK,
    bar_rows,
    blank,
    colours,
    foot,
    foot_height,
    series_names,
    tidy,
    unmeasured,
    write_value,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLATFORMS = ("CPU", "GPU", "FPGA")
FORMATS = {"dense": 0, "2:4": 1, "4:8": 2, "1:4": 3}  # order of the bars; other patterns come last
COLUMNS = ["platform", "label", "series", "value", "quantity", "claimed_at", "source"]
RELATIVE = "speed (2:4 INT4 of the same turns = 1)"
GAP, HEAD, STEP, AXIS = 0.66, 0.24, 0.19, 0.38  # inches


def data(tables: Tables) -> pd.DataFrame:
    """One row per bar. CPU and GPU: tokens/s, or speed relative to 2:4 INT4 where whole models were decoded; FPGA:
    speed-up at equal clock and multipliers.

    `claimed_at` is 1.36 times the dense partner's value, on the 2:4 bars only.
    """
    scaling = tables["scaling"]
    parts = [part for platform in PLATFORMS if len(part := _bars(scaling, platform))]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def _bars(scaling: pd.DataFrame, platform: str) -> pd.DataFrame:
    """The bars of one platform, dense formats first; of bars with one label the longest."""
    rows = at(scaling, platform=platform)
    if rows.empty:
        return rows
    rows = _with_values(rows, platform)
    rows = rows.assign(
        series=series_names(rows),
        claimed_at=(LLAMA7B * rows["value"] / rows["speedup_vs_dense"]).where(rows["pattern"] == "2:4"),
        rank=[FORMATS.get(pattern, len(FORMATS)) for pattern in rows["pattern"]],
    )
    rows["label"] = [_label(row) for _, row in rows.iterrows()]
    rows = rows.sort_values("value", ascending=False, kind="stable").drop_duplicates("label")
    rows = rows.sort_values(["rank", "bits", "label"], ascending=[True, False, True], kind="stable")
    return rows.drop(columns="rank")


def _with_values(rows: pd.DataFrame, platform: str) -> pd.DataFrame:
    """The rows that are drawn, with `value` and what it is."""
    if platform == "FPGA":
        return rows.assign(value=rows["speedup_vs_dense"], quantity="speed-up over dense INT4")
    rows = headline_context(most_threads(rows[rows["family"].isin(["nmforge", LIBRARY])]))
    whole = rows["scope"].eq(WHOLE_MODEL).any()
    value = rows["us_of_2of4"] / rows["us_per_token"] if whole else rows["tokens_per_s"]
    return rows.assign(value=value, quantity=RELATIVE if whole else "tokens/s").dropna(subset="value")


def _label(row: pd.Series) -> str:
    """Name of a bar: the format, and the library where it is not ours."""
    return f"{library_name(row['kernel'])}, {row['series']}" if row["family"] == LIBRARY else str(row["series"])


def plot(rows: pd.DataFrame) -> Figure:
    """Stacked panels, one per platform that has rows; the foot names platforms that were not measured."""
    if rows.empty:
        return unmeasured(COLUMN, "CPU, GPU and FPGA: not measured here")
    panels = {name: rows[rows["platform"] == name].reset_index(drop=True) for name in dict.fromkeys(rows["platform"])}
    text = _foot(rows, list(panels))
    total = HEAD + STEP * len(rows) + GAP * (len(panels) - 1) + AXIS + foot_height(COLUMN, text)
    figure = blank(COLUMN, total)
    top = total - HEAD
    for platform, shown in panels.items():
        height = STEP * len(shown)
        axes = figure.add_axes((0.43, (top - height) / total, 0.53, height / total))
        _panel(axes, shown, platform)
        top -= height + GAP
    foot(figure, text, 0.05 / total)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, platform: str) -> None:
    """Bars of one platform and the line of the claimed factor."""
    axes.barh(range(len(rows)), rows["value"], height=0.66, color=colours(rows["series"]))
    digits = ".2f" if platform == "FPGA" or rows["value"].max() < 10 else ".1f"
    for i, value in enumerate(rows["value"]):
        write_value(axes, format(value, digits), value, i)
    claimed = float(rows["claimed_at"].fillna(0).max())
    limit = 1.2 * max(rows["value"].max(), claimed)
    if claimed:
        _claimed_line(axes, claimed, "left" if claimed < 0.45 * limit else "right")
    axes.set_xlim(0, limit)
    bar_rows(axes, list(rows["label"]))
    axes.set_xlabel(rows["quantity"].iloc[0], labelpad=2)
    axes.text(-0.78, 1.03, platform, transform=axes.transAxes, fontsize=8, fontweight="bold", va="bottom")
    tidy(axes)


def _claimed_line(axes: Axes, claimed: float, side: str) -> None:
    """A dashed line at the claimed speed, its name at the upper end; side: the edge of the text that is at the line."""
    axes.axvline(claimed, color=INK, linewidth=0.8, linestyle=DASHED, zorder=3)
    axes.annotate(
        f"{LLAMA7B}x dense, claimed", (claimed, 1), xycoords=("data", "axes fraction"), fontsize=7, ha=side,
        xytext=(3 if side == "left" else -3, 2), textcoords="offset points", va="bottom",
    )  # fmt: skip


def _foot(rows: pd.DataFrame, platforms: list[str]) -> str:
    """What is counted, where each platform was measured, and what was not measured."""
    sources = "; ".join(f"{name} {' and '.join(sorted(set(at(rows, platform=name)['source'])))}" for name in platforms)
    absent = "".join(f" {name}: not measured here." for name in PLATFORMS if name not in platforms)
    whole = at(rows, quantity=RELATIVE, pattern="2:4", family="nmforge")
    scope = "LLaMA-7B linear layers only, M = 1, weights streamed; attention, norms and head left out. "
    if len(whole):
        first = whole.iloc[0]
        scope = (
            f"CPU: a whole LLaMA-7B of random weights, context {first['context']:.0f}; 2:4 INT4 decodes "
            f"{first['tokens_per_s']:.1f} tokens/s. "
        )
    return f"{scope}FPGA at equal clock and number of multipliers. {sources}.{absent} Claim: {PAPER}."


SUMMARY = "LLaMA-7B per-token time, from kernels and from the accelerator's cycles"
CAPTION = (
    "LLaMA-7B decode speed of each format on each machine. The dashed line marks the speed that the paper's "
    "factor would give from our dense INT4 of the same machine."
)
REGISTRY.add(Drawing("llama7b_scaling", SUMMARY, ("scaling",), data, plot, order=40, caption=CAPTION))
