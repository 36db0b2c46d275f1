"""LLaMA-7B decode: speed of each format on each machine, and the array's gain at equal clock.

Whole models are decoded in groups that alternate, and a machine's speed drifts between groups: they are drawn relative
to the 2:4 INT4 of their own group.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nmforge.reporting.figures.style import (
    COLUMN,
    blank,
    colour,
    foot,
    foot_height,
    series_name,
    tidy,
    unmeasured,
    write_value,
)
from nmforge.reporting.llama7b_scaling import WHOLE
from nmforge.reporting.query import headline_context, library_name, most_threads

TABLES = ("scaling",)
CLAIM = 1.36
FORMATS = {"dense": 0, "2:4": 1, "4:8": 2, "1:4": 3}
COLUMNS = ["platform", "label", "series", "value", "quantity", "claimed_at", "source"]
RELATIVE = "speed (2:4 INT4 of the same turns = 1)"
TITLES = {"CPU": "CPU", "GPU": "GPU", "FPGA": "FPGA"}


def data(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per bar. CPU and GPU: tokens/s, or speed relative to 2:4 INT4 where whole models were decoded; FPGA:
    speed-up at equal clock and multipliers.

    `claimed_at` is 1.36 times the dense partner's value, on the 2:4 bars only.
    """
    scaling = tables["scaling"]
    parts = [part for p in ("CPU", "GPU", "FPGA") if not (part := _bars(scaling, p)).empty]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def _bars(scaling: pd.DataFrame, platform: str) -> pd.DataFrame:
    rows = scaling if scaling.empty else scaling[scaling["platform"] == platform]
    if rows.empty:
        return pd.DataFrame(columns=COLUMNS)
    if platform == "FPGA":
        rows = rows.assign(value=rows["speedup_vs_dense"], quantity="speed-up over dense INT4")
    else:
        rows = headline_context(most_threads(rows[rows["family"].isin(["ours", "library"])]))
        whole = rows["scope"].eq(WHOLE).any()
        value = rows["us_of_2of4"] / rows["us_per_token"] if whole else rows["tokens_per_s"]
        rows = rows.assign(value=value, quantity=RELATIVE if whole else "tokens/s").dropna(subset="value")
    rows = rows.assign(
        series=[series_name(p, b) for p, b in zip(rows["pattern"], rows["bits"], strict=True)],
        claimed_at=(CLAIM * rows["value"] / rows["speedup_vs_dense"]).where(rows["pattern"] == "2:4"),
        rank=rows["pattern"].map(lambda p: FORMATS.get(p, 9)),
    )
    rows["label"] = [_label(row) for _, row in rows.iterrows()]
    rows = rows.sort_values("value", ascending=False, kind="stable").drop_duplicates("label")
    return rows.sort_values(["rank", "bits", "label"], ascending=[True, False, True], kind="stable").drop(
        columns="rank"
    )


def _label(row: pd.Series) -> str:
    if row["family"] == "library":
        return f"{library_name(row['kernel'])}, {row['series']}"
    return str(row["series"])


def plot(rows: pd.DataFrame) -> Figure:
    """Stacked panels, one per platform that has rows; a platform nobody measured is named at the foot."""
    if rows.empty:
        return unmeasured(COLUMN, "CPU, GPU and FPGA: not measured here")
    platforms = list(dict.fromkeys(rows["platform"]))
    text = _foot(rows, platforms)
    under, gap, head = foot_height(COLUMN, text), 0.66, 0.24
    heights = {p: 0.19 * int((rows["platform"] == p).sum()) for p in platforms}
    total = head + sum(heights.values()) + gap * (len(platforms) - 1) + 0.38 + under
    figure = blank(COLUMN, total)
    top = total - head
    for platform in platforms:
        height = heights[platform]
        axes = figure.add_axes((0.43, (top - height) / total, 0.53, height / total))
        _panel(axes, rows[rows["platform"] == platform].reset_index(drop=True), platform)
        top -= height + gap
    foot(figure, text, 0.05 / total)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, platform: str) -> None:
    y = range(len(rows))
    axes.barh(y, rows["value"], height=0.66, color=[colour(s) for s in rows["series"]])
    digits = ".2f" if platform == "FPGA" or rows["value"].max() < 10 else ".1f"
    claimed = rows["claimed_at"].max()
    for i, value in zip(y, rows["value"], strict=True):
        write_value(axes, format(value, digits), value, i)
    limit = 1.2 * max(rows["value"].max(), claimed if claimed == claimed else 0)
    if claimed == claimed:
        axes.axvline(claimed, color="#222222", linewidth=0.8, linestyle=(0, (4, 2.5)), zorder=3)
        side = "left" if claimed < 0.45 * limit else "right"
        axes.annotate(
            "1.36x dense, claimed",
            (claimed, 1),
            xycoords=("data", "axes fraction"),
            fontsize=7,
            ha=side,
            xytext=(3 if side == "left" else -3, 2),
            textcoords="offset points",
            va="bottom",
        )
    axes.set_xlim(0, limit)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(list(y), rows["label"])
    axes.set_xlabel(rows["quantity"].iloc[0], labelpad=2)
    axes.text(-0.78, 1.03, TITLES[platform], transform=axes.transAxes, fontsize=8, fontweight="bold", va="bottom")
    tidy(axes)


def _foot(rows: pd.DataFrame, platforms: list[str]) -> str:
    absent = "".join(f" {p}: not measured here." for p in ("CPU", "GPU", "FPGA") if p not in platforms)
    sources = "; ".join(f"{p} {' and '.join(sorted(set(rows[rows['platform'] == p]['source'])))}" for p in platforms)
    ours = rows[(rows["quantity"] == RELATIVE) & (rows["pattern"] == "2:4") & (rows["family"] == "ours")]
    scope = "LLaMA-7B linear layers only, M = 1, weights streamed; attention, norms and head left out. "
    if len(ours):
        first = ours.iloc[0]
        scope = (
            f"CPU: a whole LLaMA-7B of random weights, context {first['context']:.0f}; 2:4 INT4 decodes "
            f"{first['tokens_per_s']:.1f} tokens/s. "
        )
    return f"{scope}FPGA at equal clock and number of multipliers. {sources}.{absent} Claim: arXiv 2512.24713."
