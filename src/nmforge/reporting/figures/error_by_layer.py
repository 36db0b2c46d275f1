"""Error by layer and depth: how far each compressed model is from the dense one, block by block and layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmforge.core.lazy import mpl_ticker, pd
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
    from matplotlib.image import AxesImage

COLUMNS = ["design_id", "series", "layer", "block", "kind", "input_error", "output_error", "input_peak"]
STREAM = "residual stream"  # the kind of row that stands for a whole block
MAPPED = (
    "dense INT4",
    "dense INT3",
    "2:4 INT4",
)  # formats whose every layer is shown
SHADES = "cividis_r"
TALL, STEP, TOP = 0.78, 1.02, 2.3  # inches: a map, from one map to the next, from the figure's top to the first map


@dataclass(frozen=True)
class Scale:
    """What the maps share: kinds of layers from the top, and the errors of the lightest and the darkest shade."""

    kinds: list[str]
    low: float
    high: float


def data(tables: Tables) -> pd.DataFrame:
    """Rows of one design point for each format: the one whose residual stream ends closest to the dense model's."""
    layers = tables["layers"]
    if layers.empty:
        return pd.DataFrame(columns=COLUMNS)
    rows = layers[layers["model"] == layers["model"].iloc[0]].copy()
    rows["series"] = series_names(rows)
    last = rows[(rows["kind"] == STREAM) & (rows["block"] == rows["block"].max())]
    best = last.sort_values(["output_error", "design_id"], kind="stable").drop_duplicates("series")
    chosen = rows[rows["design_id"].isin(best["design_id"])]
    order = chosen["series"].map(rank)
    ordered = chosen.assign(order=order).sort_values(["order", "design_id"], kind="stable")
    drawn: pd.DataFrame = ordered.drop(columns="order")
    return drawn


def plot(rows: pd.DataFrame) -> Figure:
    """Above: the residual stream by depth, one line a format. Below: every layer of 2:4, dense INT4 and dense INT3."""
    if rows.empty:
        return unmeasured(COLUMN, "error by layer: not measured here")
    layers = rows[rows["kind"] != STREAM]
    text = _foot(rows, empty=bool(layers["output_error"].isna().any()))
    mapped = [series for series in MAPPED if series in set(rows["series"])]
    under = foot_height(COLUMN, text)
    height = 2.1 + STEP * len(mapped) + 0.45 + under
    figure = blank(COLUMN, height)
    _stream(figure.add_axes((0.15, 1 - 1.75 / height, 0.49, 1.45 / height)), rows[rows["kind"] == STREAM])
    if mapped:
        _maps(figure, [layers[layers["series"] == series] for series in mapped], _scale(layers))
    foot(figure, text, 0.05 / height)
    return figure


def _scale(layers: pd.DataFrame) -> Scale:
    """Kinds in the order of the model's layers; one scale of shades for every map."""
    errors = layers["output_error"]
    return Scale(list(dict.fromkeys(layers["kind"])), float(errors.min()), float(errors.max()))


def _foot(rows: pd.DataFrame, *, empty: bool) -> str:
    """What the error is, and where it was measured. empty: whether a layer cannot be compared."""
    return (
        "Squared difference from the dense model's activations over their squared size, everything upstream "
        f"included, on {int(rows['tokens'].iloc[0]):,} tokens; of each format the design point that ends closest. "
        f"{'White: channels in another order or scale. ' if empty else ''}{measured(rows)}."
    )


def _stream(axes: Axes, stream: pd.DataFrame) -> None:
    """Error of the residual stream after each block; names stand at the ends of the lines, pushed apart."""
    axes.set_yscale("log")
    ends = []
    for design, line in stream.groupby("design_id", sort=False):
        series = str(line["series"].iloc[0])
        axes.plot(line["block"], line["output_error"], color=colour(series), linewidth=1.2)
        ends.append((float(line["output_error"].iloc[-1]), str(design), series))
    axes.set_xlim(0, max(int(stream["block"].max()), 1))
    axes.xaxis.set_major_locator(mpl_ticker.MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(mpl_ticker.LogLocator())
    axes.set_title("residual stream after each block")
    axes.set_ylabel("error", labelpad=2)
    tidy(axes, "y")
    for place, design, series in _spread(ends, *axes.get_ylim()):
        axes.annotate(
            design, (1, place), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
            fontsize=7, va="center", color=colour(series), annotation_clip=False,
        )  # fmt: skip


def _spread(ends: list[tuple[float, str, str]], low: float, high: float) -> Iterator[tuple[float, str, str]]:
    """(place on the axis, design point, format) of each line's end: from the top, each name below the one before."""
    gap, ceiling = (high / low) ** (0.115 / 1.45), high
    for value, design, series in sorted(ends, reverse=True):
        place = min(value, ceiling)
        ceiling = place / gap
        yield place, design, series


def _maps(figure: Figure, maps: list[pd.DataFrame], scale: Scale) -> None:
    """One map below another, and the bar of their shades."""
    height = figure.get_figheight()
    for i, rows in enumerate(maps):
        axes = figure.add_axes((0.15, 1 - (TOP + STEP * i + TALL) / height, 0.64, TALL / height))
        image = _map(axes, rows, scale)
        if i < len(maps) - 1:
            axes.set_xticklabels([])
    axes.set_xlabel("block", labelpad=2)
    span = STEP * (len(maps) - 1) + TALL
    bar = figure.add_axes((0.83, 1 - (TOP + span) / height, 0.03, span / height))
    figure.colorbar(image, cax=bar)
    bar.tick_params(labelsize=7, length=2, which="both")
    bar.set_ylabel("error of a layer's outputs", labelpad=3)


def _map(axes: Axes, rows: pd.DataFrame, scale: Scale) -> AxesImage:
    """Kinds of layers down, blocks across, shade = error of the outputs."""
    grid = rows.pivot(index="kind", columns="block", values="output_error").reindex(scale.kinds)
    image = axes.imshow(
        grid.to_numpy(), norm="log", vmin=scale.low, vmax=scale.high, cmap=SHADES, aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
    axes.set_yticks(range(len(scale.kinds)), [kind.removesuffix("_proj") for kind in scale.kinds])
    axes.xaxis.set_major_locator(mpl_ticker.MaxNLocator(6, integer=True))
    axes.set_title(str(rows["design_id"].iloc[0]), color=colour(str(rows["series"].iloc[0])))
    for side in axes.spines.values():
        side.set_visible(False)
    return image


SUMMARY = "how far the best INT4, INT3 and 2:4 point are from the dense model, by block and by layer"
CAPTION = "How far each compressed model is from the dense one, by depth above and by layer below; darker is worse."
REGISTRY.add(Drawing("error_by_layer", SUMMARY, ("layers",), data, plot, order=60, caption=CAPTION))
