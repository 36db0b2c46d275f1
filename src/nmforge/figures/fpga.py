"""The accelerator: simulated cycles per pattern beside the ideal, and what each pattern costs in logic."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from nmforge.figures.style import (
    COLUMN,
    INK,
    QUIET,
    blank,
    colour,
    foot,
    foot_height,
    measured,
    say,
    series_name,
    tidy,
    write_value,
)
from nmforge.selection import multipliers, pattern_name

TABLES = ("fpga",)
WORK = "work"
DEVICES = {"xcup": "UltraScale+", "ecp5": "ECP5"}
COLUMNS = ["pattern", "series", "quantity", "value", "ideal", "over_dense", "engine", "rows", "cols", "multipliers"]
SHAPE = ["m", "n", "k"]


def data(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per engine and quantity, for the tile that was run with the most patterns.

    `work` is cycles times multipliers (median over seeds): engines of other patterns have other numbers of
    multipliers, so cycles alone would compare unequal hardware. `ideal` is the same for the ideal cycles.
    `lut xcup` and so on are LUTs by target. `over_dense` is dense over this engine for work, and this engine over the
    dense one with as many multipliers for LUTs; empty where no such engine was made.
    """
    fpga = tables["fpga"]
    rtl = fpga if fpga.empty else fpga[fpga["stage"] == "rtl"]
    if rtl.empty:
        return pd.DataFrame(columns=COLUMNS)
    keys = ["engine", *[c for c in SHAPE if c in rtl]]
    sizes = rtl.groupby(keys)["pattern"].nunique()
    best = dict(zip(keys, sizes[sizes == sizes.max()].index.max(), strict=True))
    tile = rtl[(rtl[list(best)] == pd.Series(best)).all(axis=1)]
    tile = tile.assign(multipliers=tile.apply(multipliers, axis=1))
    tile = tile.assign(work=tile["cycles"] * tile["multipliers"], ideal=tile["ideal_cycles"] * tile["multipliers"])
    made = fpga[(fpga["stage"] == "synthesis") & (fpga["engine"] == best["engine"])]
    parts = [_tidy(tile, WORK, WORK)]
    for target, rows in made.groupby("target", sort=False):
        parts.append(_tidy(rows.assign(multipliers=rows.apply(multipliers, axis=1)), "lut", f"lut {target}"))
    rows = pd.concat(parts, ignore_index=True)
    dense = rows["pattern"].map(pattern_name) == "dense"
    order = rows["quantity"].map({q: i for i, q in enumerate(dict.fromkeys(rows["quantity"]))})
    return (
        rows.assign(o=order, d=~dense)
        .sort_values(["o", "multipliers", "d", "pattern"])
        .drop(columns=["o", "d"])
        .reset_index(drop=True)
    )


def _tidy(rows: pd.DataFrame, column: str, quantity: str) -> pd.DataFrame:
    """Median of one quantity per pattern, with the provenance of the first row, and the ratio to its dense rival."""
    rows = rows[rows[column].notna()]
    first = rows.drop_duplicates("pattern").set_index("pattern")
    out = first.assign(value=rows.groupby("pattern")[column].median(), quantity=quantity).reset_index()
    out["series"] = [series_name(pattern, 4) for pattern in out["pattern"]]
    dense = out[out["pattern"].map(pattern_name) == "dense"]
    if quantity == WORK:
        out["over_dense"] = dense["value"].min() / out["value"]
    else:
        rival = dict(zip(dense["multipliers"], dense["value"], strict=True))
        out["over_dense"] = out["value"] / out["multipliers"].map(rival)
    return out


def plot(rows: pd.DataFrame) -> Figure:
    """A panel of work with the ideal as a tick, and a panel of LUTs for each target."""
    if rows.empty:
        figure = blank(COLUMN, 1.2)
        say(figure.add_subplot(), "FPGA: not measured here")
        return figure
    first = rows.iloc[0]
    shape = f", tile M={first['m']:.0f} N={first['n']:.0f} K={first['k']:.0f}" if "m" in rows else ""
    arrays = sorted({f"{r:.0f}x{c:.0f}" for r, c in zip(rows["rows"], rows["cols"], strict=True)})
    targets = [quantity for quantity in dict.fromkeys(rows["quantity"]) if quantity != WORK]
    text = (
        f"{first['engine'].upper()} array of {' or '.join(arrays)} PEs{shape}, INT4 x INT8; x1, x2, x4: multipliers in "
        "a PE. Cycles: Verilator, gain over dense. "
        + ("LUTs: Yosys, synthesis only, % over dense with as many multipliers. " if targets else "Logic: not here. ")
        + f"{measured(rows)}."
    )
    under = foot_height(COLUMN, text)
    labels = list(dict.fromkeys(_label(row) for row in rows.to_dict("records")))
    height = 0.165 * len(labels)
    total = 0.42 + height + (0.52 + height if targets else 0) + 0.24 + under
    figure = blank(COLUMN, total)
    top = total - 0.42
    _panel(figure.add_axes((0.25, (top - height) / total, 0.7, height / total)), rows, WORK, labels, first=True)
    top -= height + 0.52
    for i, target in enumerate(targets):
        width = 0.73 / len(targets)
        box = (0.25 + i * width, (top - height) / total, width - 0.04, height / total)
        _panel(figure.add_axes(box), rows, target, labels, first=i == 0)
    legend = "| ideal: a kept weight per multiplier and cycle"
    figure.text(0.95, 1 - 0.03 / total, legend, fontsize=7, color=QUIET, ha="right", va="top")
    foot(figure, text, 0.05 / total)
    return figure


def _label(row: Mapping[Hashable, Any]) -> str:
    """`2:4 INT4 x2`: the series and the multipliers of a PE."""
    return f"{row['series']} x{int(row['multipliers'] / (row['rows'] * row['cols']))}"


def _title(quantity: str) -> str:
    if quantity == WORK:
        return "thousand cycles x multipliers of one tile"
    target = quantity.removeprefix("lut ")
    return f"LUTs, {DEVICES.get(target, target)}"


def _value_text(quantity: str, row: Mapping[Hashable, Any]) -> str:
    """The value, and what it gains or costs over dense where that was measured."""
    ratio = row["over_dense"]
    if quantity == WORK:
        return f"{row['value'] / 1000:.1f}" + ("" if pd.isna(ratio) else f" ({ratio:.2f}x)")
    return f"{row['value']:,.0f}" + ("" if pd.isna(ratio) or ratio == 1 else f" ({100 * (ratio - 1):+.0f}%)")


def _panel(axes: Axes, rows: pd.DataFrame, quantity: str, labels: list[str], *, first: bool) -> None:
    rows = rows[rows["quantity"] == quantity]
    y = [labels.index(_label(row)) for row in rows.to_dict("records")]
    axes.barh(y, rows["value"], height=0.66, color=[colour(s) for s in rows["series"]])
    for i, row in zip(y, rows.to_dict("records"), strict=True):
        if quantity == WORK:
            axes.plot([row["ideal"]] * 2, [i - 0.4, i + 0.4], color=INK, linewidth=1.2)
        write_value(axes, _value_text(quantity, row), row["value"], i)
    axes.set_xlim(0, max(1.0, rows["value"].max()) * (1.4 if quantity == WORK else 1.75))
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_yticks(range(len(labels)), labels if first else [""] * len(labels))
    axes.set_title(_title(quantity), fontsize=7.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5 if quantity == WORK else 3))
    thousand = FuncFormatter(lambda value, _: f"{value / 1000:g}" + ("" if quantity == WORK or value == 0 else "k"))
    axes.xaxis.set_major_formatter(thousand)
    tidy(axes)
