"""Error by layer and depth: how far each compressed model is from the dense one, block by block and layer by layer."""

from __future__ import annotations

import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from nmforge.models.llama import LINEAR_KINDS
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

TABLES = ("layers",)
COLUMNS = ["design_id", "series", "layer", "block", "kind", "input_error", "output_error", "input_peak"]
STREAM = "residual stream"
KINDS = list(LINEAR_KINDS)
MAPPED = ("dense INT4", "dense INT3", "2:4 INT4")  # formats whose every layer is shown: 2:4 beside its rivals
SHADES = colormaps["cividis_r"]


def data(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Rows of one design point for each format: the one whose residual stream ends closest to the dense model's."""
    layers = tables["layers"]
    if layers.empty:
        return pd.DataFrame(columns=COLUMNS)
    rows = layers[layers["model"] == layers["model"].iloc[0]].copy()
    rows["series"] = [series_name(p, b) for p, b in zip(rows["pattern"], rows["bits"], strict=True)]
    last = rows[(rows["kind"] == STREAM) & (rows["block"] == rows["block"].max())]
    best = last.sort_values(["output_error", "design_id"], kind="stable").drop_duplicates("series")
    chosen = rows[rows["design_id"].isin(best["design_id"])]
    order = chosen["series"].map(rank)
    return chosen.assign(order=order).sort_values(["order", "design_id"], kind="stable").drop(columns="order")


def plot(rows: pd.DataFrame) -> Figure:
    """Above: the residual stream by depth, one line a format. Below: every layer of 2:4 and of its dense rivals."""
    if rows.empty:
        return unmeasured(COLUMN, "error by layer: not measured here")
    uncompared = rows[rows["kind"].isin(KINDS)]["output_error"].isna().any()
    text = (
        "Squared difference from the dense model's activations over their squared size, everything upstream "
        f"included, on {int(rows['tokens'].iloc[0]):,} tokens; of each format the design point that ends closest. "
        f"{'White: channels in another order or scale. ' if uncompared else ''}"
        f"{measured(rows)}."
    )
    mapped = [series for series in MAPPED if series in set(rows["series"])]
    under = foot_height(COLUMN, text)
    height = 2.1 + 1.02 * len(mapped) + 0.45 + under
    figure = blank(COLUMN, height)
    _stream(figure.add_axes((0.15, 1 - 1.75 / height, 0.49, 1.45 / height)), rows)
    layers = rows[rows["kind"].isin(KINDS)]
    norm = LogNorm(float(layers["output_error"].min()), float(layers["output_error"].max()))
    for place, series in enumerate(mapped):
        top = 2.3 + 1.02 * place
        axes = figure.add_axes((0.15, 1 - (top + 0.78) / height, 0.64, 0.78 / height))
        _map(axes, layers[layers["series"] == series], norm)
        if place == len(mapped) - 1:
            axes.set_xlabel("block", labelpad=2)
        else:
            axes.set_xticklabels([])
    if mapped:
        span = 1.02 * len(mapped) - 0.24
        bar = figure.add_axes((0.83, 1 - (2.3 + span) / height, 0.03, span / height))
        figure.colorbar(ScalarMappable(norm, SHADES), cax=bar)
        bar.tick_params(labelsize=7, length=2, which="both")
        bar.set_ylabel("error of a layer's outputs", labelpad=3)
    foot(figure, text, 0.05 / height)
    return figure


def _stream(axes: Axes, rows: pd.DataFrame) -> None:
    """Error of the residual stream behind each block; names stand at the lines' ends, pushed apart."""
    stream = rows[rows["kind"] == STREAM]
    axes.set_yscale("log")
    ends = []
    for design, line in stream.groupby("design_id", sort=False):
        series = str(line["series"].iloc[0])
        axes.plot(line["block"], line["output_error"], color=colour(series), linewidth=1.2)
        ends.append((float(line["output_error"].iloc[-1]), str(design), series))
    last = int(stream["block"].max())
    axes.set_xlim(0, max(last, 1))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(LogLocator())
    axes.set_title("residual stream behind each block")
    axes.set_ylabel("error", labelpad=2)
    tidy(axes, "y")
    low, high = axes.get_ylim()
    gap, ceiling = (high / low) ** (0.115 / 1.45), high
    for value, design, series in sorted(ends, reverse=True):  # from the top, each below the one before
        place = min(value, ceiling)
        ceiling = place / gap
        axes.annotate(
            design, (1, place), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
            fontsize=7, va="center", color=colour(series), annotation_clip=False,
        )  # fmt: skip


def _map(axes: Axes, rows: pd.DataFrame, norm: LogNorm) -> None:
    """Kinds of layers down, blocks across, shade = error of the outputs."""
    grid = rows.pivot(index="kind", columns="block", values="output_error").reindex(KINDS)
    axes.imshow(grid.to_numpy(), norm=norm, cmap=SHADES, aspect="auto", interpolation="nearest")
    axes.set_yticks(range(len(KINDS)), [kind.removesuffix("_proj") for kind in KINDS])
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_title(str(rows["design_id"].iloc[0]), color=colour(str(rows["series"].iloc[0])))
    for side in axes.spines.values():
        side.set_visible(False)
