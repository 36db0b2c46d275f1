"""The accelerator: simulated cycles per pattern beside the ideal, and what each pattern costs in logic."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
ORDER = {"dense": 0, "4:8": 1, "2:4": 2, "1:4": 3}
QUANTITIES = [
    ("work", "cycles x multipliers of one tile, RTL"),
    ("lut", "LUTs"),
    ("ff", "flip-flops"),
    ("dsp", "DSPs"),
]
COLUMNS = ["pattern", "series", "quantity", "value", "ideal", "engine", "rows", "cols", "multipliers"]
SHAPE = ["m", "n", "k"]


def data(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per pattern and quantity, for the engine and tile that were run with the most patterns.

    `work`, from the `rtl` rows, is cycles times multipliers (median over seeds): a PE of another pattern has
    another number of multipliers, so cycles alone would compare unequal hardware. `ideal` is the same for the
    ideal cycles. LUT, FF and DSP come from the `synthesis` rows of the engine.
    """
    fpga = tables["fpga"]
    rtl = fpga if fpga.empty else fpga[fpga["stage"] == "rtl"]
    if rtl.empty:
        return pd.DataFrame(columns=COLUMNS)
    rtl = rtl.assign(multipliers=rtl.apply(multipliers, axis=1))
    rtl = rtl.assign(work=rtl["cycles"] * rtl["multipliers"], ideal=rtl["ideal_cycles"] * rtl["multipliers"])
    keys = ["engine", *[c for c in SHAPE if c in rtl]]
    sizes = rtl.assign(p=rtl["pattern"].map(pattern_name)).groupby(keys)["p"].nunique()
    best = dict(zip(keys, sizes[sizes == sizes.max()].index.max(), strict=True))
    tile = rtl[(rtl[list(best)] == pd.Series(best)).all(axis=1)]
    made = fpga[(fpga["stage"] == "synthesis") & (fpga["engine"] == best["engine"])]
    made = made.assign(multipliers=made.apply(multipliers, axis=1) if len(made) else pd.Series(dtype=int))
    rows = pd.concat([_tidy(tile, "work"), *[_tidy(made, q) for q, _ in QUANTITIES[1:]]], ignore_index=True)
    rank = rows["pattern"].map(lambda p: ORDER.get(p, 9))
    order = rows["quantity"].map({q: i for i, (q, _) in enumerate(QUANTITIES)})
    return (
        rows.assign(o=order, r=rank).sort_values(["o", "r", "pattern"]).drop(columns=["o", "r"]).reset_index(drop=True)
    )


def _tidy(rows: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Median of one quantity per pattern, with the provenance of the first row."""
    rows = rows[rows[quantity].notna()].assign(pattern=lambda t: t["pattern"].map(pattern_name))
    first = rows.drop_duplicates("pattern").set_index("pattern")
    middle = rows.groupby("pattern")[quantity].median()
    out = first.assign(value=middle, quantity=quantity).reset_index()
    return out.assign(series=[series_name(p, 4) for p in out["pattern"]])


def plot(rows: pd.DataFrame) -> Figure:
    """A panel of cycles with the ideal as a tick, and one small panel per resource."""
    if rows.empty:
        figure = blank(COLUMN, 1.2)
        say(figure.add_subplot(), "FPGA: not measured here")
        return figure
    first = rows.iloc[0]
    shape = f", tile M={first['m']:.0f} N={first['n']:.0f} K={first['k']:.0f}" if "m" in rows else ""
    made = rows[rows["quantity"] != "work"]
    tail = f"Yosys {'/'.join(sorted(set(made['target'].dropna())))}." if len(made) else "Logic: not measured here."
    arrays = sorted({f"{r:.0f}x{c:.0f}" for r, c in zip(rows["rows"], rows["cols"], strict=True)})
    text = (
        f"{first['engine']} array of {' or '.join(arrays)} PEs{shape}, INT4 x INT8; a PE has as many "
        f"multipliers as its pattern keeps. Cycles: Verilator. {tail} {measured(rows)}."
    )
    under = foot_height(COLUMN, text)
    panels = [(q, title) for q, title in QUANTITIES if q in set(rows["quantity"])]
    count = rows["pattern"].nunique()
    resources = len(panels) - 1
    height = 0.175 * count
    total = 0.42 + height + (0.5 + height if resources else 0) + 0.22 + under
    figure = blank(COLUMN, total)
    top = total - 0.42
    labels = list(dict.fromkeys(rows["series"]))
    _panel(
        figure.add_axes((0.2, (top - height) / total, 0.74, height / total)),
        rows,
        panels[0],
        labels,
        first=True,
    )
    top -= height + 0.5
    for i, panel in enumerate(panels[1:]):
        width = 0.8 / resources
        box = (0.2 + i * width, (top - height) / total, width - 0.055, height / total)
        _panel(figure.add_axes(box), rows, panel, labels, first=i == 0)
    figure.text(
        0.94,
        1 - 0.03 / total,
        "| ideal: a kept weight per multiplier and cycle",
        fontsize=7,
        color=QUIET,
        ha="right",
        va="top",
    )
    foot(figure, text, 0.05 / total)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, panel: tuple[str, str], labels: list[str], *, first: bool) -> None:
    quantity, title = panel
    rows = rows[rows["quantity"] == quantity]
    y = [labels.index(s) for s in rows["series"]]
    axes.barh(y, rows["value"], height=0.66, color=[colour(s) for s in rows["series"]])
    base = rows[rows["pattern"] == "dense"]["value"]
    for i, row in zip(y, rows.to_dict("records"), strict=True):
        if quantity == "work":
            axes.plot([row["ideal"]] * 2, [i - 0.4, i + 0.4], color=INK, linewidth=1.2)
        ratio = f" ({float(base.iloc[0]) / row['value']:.2f}x)" if quantity == "work" and len(base) else ""
        write_value(axes, f"{row['value']:,.0f}{ratio}", row["value"], i)
    axes.set_xlim(0, max(1.0, rows["value"].max()) * (1.55 if quantity == "work" else 1.75))
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_yticks(range(len(labels)), labels if first else [""] * len(labels))
    axes.set_title(title, fontsize=7.5)
    axes.locator_params(axis="x", nbins=5 if quantity == "work" else 2)
    tidy(axes)
