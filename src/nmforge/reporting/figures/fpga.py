"""The accelerator: simulated cycles per pattern beside the ideal, and what each build costs in logic and clock."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from nmforge.reporting.figures.style import (
    COLUMN,
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
    write_value,
)
from nmforge.reporting.query import multipliers, pattern_name

TABLES = ("fpga",)
WORK, CLOCK = "work", "clock"
TITLES = {
    WORK: "thousand cycles x multipliers of one tile",
    "lut xcup": "US+ LUTs",
    "lut ecp5": "ECP5 LUTs",
    CLOCK: "ECP5 MHz",
}
COLUMNS = [
    "pattern", "series", "quantity", "value", "low", "high", "ideal", "over_dense", "engine", "window", "lanes", "rows",
    "cols", "multipliers",
]  # fmt: skip
SHAPE = ["m", "n", "k"]
SIZE = ["lanes", "rows", "cols"]
RIGHT, GAP = 0.7, 0.04


def data(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per pattern (`work`) or build (the rest), for the tile that was run with the most patterns.

    `work` is cycles times multipliers on the pattern's own build, `ideal` the same for the ideal cycles. `lut xcup` and
    `lut ecp5` are LUTs after synthesis of the same array; `clock` is the median post-route clock of the device, with
    the slowest and fastest seed in `low` and `high`. `over_dense` is dense over this one for work, and this one over
    the dense build of the same array otherwise; empty where there is none.
    """
    fpga = tables["fpga"]
    rtl = fpga if fpga.empty else fpga[fpga["stage"] == "rtl"]
    if rtl.empty:
        return pd.DataFrame(columns=COLUMNS)
    keys = ["engine", *SIZE, *[c for c in SHAPE if c in rtl]]
    sizes = rtl.groupby(keys)["pattern"].nunique()
    best = dict(zip(keys, sizes[sizes == sizes.max()].index.max(), strict=True))
    tile = rtl[(rtl[list(best)] == pd.Series(best)).all(axis=1)].sort_values("window", kind="stable")
    tile = tile[tile["window"] == tile.groupby("pattern")["window"].transform("min")]
    size = (fpga[SIZE] == tile.iloc[0][SIZE]).all(axis=1)
    parts = [_work(tile)]
    for target in ("xcup", "ecp5"):
        chosen = (fpga["stage"] == "synthesis") & (fpga["engine"] == best["engine"]) & (fpga["target"] == target)
        parts.append(_builds(fpga[size & chosen], "lut", f"lut {target}"))
    parts.append(_builds(fpga[size & (fpga["stage"] == "route")], "fmax_mhz", CLOCK))
    return pd.concat([part for part in parts if len(part)], ignore_index=True).drop(columns="order")


def _work(tile: pd.DataFrame) -> pd.DataFrame:
    """Median cycles times multipliers of every pattern, dense first, then by the cycles it saves."""
    tile = tile.assign(multipliers=tile.apply(multipliers, axis=1))
    tile = tile.assign(value=tile["cycles"] * tile["multipliers"], ideal=tile["ideal_cycles"] * tile["multipliers"])
    rows = tile.drop_duplicates("pattern").set_index("pattern")
    rows["value"] = tile.groupby("pattern")["value"].median()
    rows = rows.reset_index().assign(quantity=WORK, order=-rows["value"].to_numpy())
    dense = rows.loc[rows["pattern"].map(pattern_name) == "dense", "value"].min()
    named = rows.assign(series=[series_name(p, 4) for p in rows["pattern"]], over_dense=dense / rows["value"])
    return named.sort_values("order", kind="stable")


def _builds(rows: pd.DataFrame, column: str, quantity: str) -> pd.DataFrame:
    """Median of one quantity over the seeds of every build, smallest window first."""
    if rows.empty:
        return rows
    rows = rows.assign(multipliers=rows.apply(multipliers, axis=1))
    build = ["window", "bits"]
    grouped = rows.groupby(build)[column]
    out = rows.drop_duplicates(build).set_index(build)
    out = out.assign(value=grouped.median(), low=grouped.min(), high=grouped.max(), quantity=quantity).reset_index()
    names = [build_series(window, bits) for window, bits in zip(out["window"], out["bits"], strict=True)]
    out = out.assign(series=names, order=out["window"] - out["bits"] / 100).sort_values("order")
    dense = out.loc[(out["window"] == 1) & (out["bits"] == 4), "value"]
    return out.assign(over_dense=out["value"] / (dense.iloc[0] if len(dense) else float("nan")))


def build_series(window: float, bits: float) -> str:
    """`dense`, `dense INT3` or `any N:4`: what a build with windows of `window` runs, INT4 where nothing is said."""
    return ("dense" if window == 1 else f"any N:{window:.0f}") + ("" if bits == 4 else f" INT{bits:.0f}")


def plot(rows: pd.DataFrame) -> Figure:
    """A panel of work with the ideal as a tick, and under it a panel for each cost of a build."""
    if rows.empty:
        return unmeasured(COLUMN, "FPGA: not measured here")
    first = rows.iloc[0]
    shape = f", tile M={first['m']:.0f} N={first['n']:.0f} K={first['k']:.0f}" if "m" in rows else ""
    costs = [quantity for quantity in dict.fromkeys(rows["quantity"]) if quantity != WORK]
    text = _text(rows, costs, f"{first['rows']:.0f}x{first['cols']:.0f} PEs{shape}")
    patterns = list(dict.fromkeys(rows.loc[rows["quantity"] == WORK, "series"]))
    builds = list(dict.fromkeys(rows.loc[rows["quantity"] != WORK, "series"]))
    heights = 0.165 * len(patterns), 0.165 * len(builds)
    total = 0.42 + heights[0] + (0.52 + heights[1] if costs else 0) + 0.24 + foot_height(COLUMN, text)
    figure = blank(COLUMN, total)
    top = total - 0.42 - heights[0]
    _panel(figure.add_axes((0.25, top / total, RIGHT, heights[0] / total)), rows, WORK, patterns, first=True)
    top -= 0.52 + heights[1]
    for i, quantity in enumerate(costs):
        width = (RIGHT + GAP) / len(costs)
        box = (0.25 + i * width, top / total, width - GAP, heights[1] / total)
        _panel(figure.add_axes(box), rows, quantity, builds, first=i == 0)
    legend = "| ideal: a kept weight per multiplier and cycle"
    figure.text(0.95, 1 - 0.03 / total, legend, fontsize=7, color=QUIET, ha="right", va="top")
    foot(figure, text, 0.05 / total)
    return figure


def _text(rows: pd.DataFrame, costs: list[str], array: str) -> str:
    parts = [f"{array}, INT4 x INT8, one multiplier a PE. Cycles: Verilator, gain over dense."]
    if any(quantity.startswith("lut") for quantity in costs):
        parts.append("LUTs: Yosys, synthesis only, % over dense; US+: UltraScale+.")
    if CLOCK in costs:
        parts.append("MHz: device placed and routed, median of seeds.")
    return " ".join([*parts, f"{measured(rows)}."])


def _value_text(quantity: str, row: Mapping[Hashable, Any]) -> str:
    """The value, and what it gains or costs over dense where that was measured."""
    ratio = row["over_dense"]
    if quantity == WORK:
        thousands = row["value"] / 1000
        return f"{thousands:,.{0 if thousands >= 1000 else 1}f}" + ("" if pd.isna(ratio) else f" ({ratio:.2f}x)")
    value = f"{row['value']:.0f}" if quantity == CLOCK else f"{row['value'] / 1000:.1f}k"
    return value + ("" if pd.isna(ratio) or ratio == 1 else f" {100 * (ratio - 1):+.0f}%")


def _panel(axes: Axes, rows: pd.DataFrame, quantity: str, labels: list[str], *, first: bool) -> None:
    rows = rows[rows["quantity"] == quantity]
    y = [labels.index(series) for series in rows["series"]]
    colours = [colour(s) for s in rows["series"]] if quantity == WORK else QUIET
    axes.barh(y, rows["value"], height=0.66, color=colours)
    for i, row in zip(y, rows.to_dict("records"), strict=True):
        if quantity == WORK:
            axes.plot([row["ideal"]] * 2, [i - 0.4, i + 0.4], color=INK, linewidth=1.2)
        elif row["low"] != row["high"]:
            axes.plot([row["low"], row["high"]], [i, i], color=INK, linewidth=1.2)
        write_value(axes, _value_text(quantity, row), row["value"], i)
    axes.set_xlim(0, max(1.0, rows["value"].max()) * (1.5 if quantity == WORK else 3.3))
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_yticks(range(len(labels)), labels if first else [""] * len(labels))
    axes.set_title(TITLES[quantity], fontsize=7.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5 if quantity == WORK else 2))
    scale = 1 if quantity == CLOCK else 1000
    suffix = "k" if quantity.startswith("lut") else ""
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / scale:g}{suffix if value else ''}"))
    tidy(axes)
