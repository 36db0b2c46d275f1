"""The accelerator: simulated cycles per pattern beside the ideal, and what each pattern costs in logic."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nmforge.figures.style import COLUMN, INK, QUIET, blank, colour, foot, foot_height, measured, say, series_name, tidy
from nmforge.selection import pattern_name

TABLES = ("fpga",)
ORDER = {"dense": 0, "4:8": 1, "2:4": 2, "1:4": 3}
QUANTITIES = [
    ("cycles", "cycles of one tile (RTL simulation)"), ("lut", "LUTs"), ("ff", "flip-flops"), ("dsp", "DSP multipliers"),
]  # fmt: skip
COLUMNS = ["pattern", "series", "quantity", "value", "ideal_cycles", "engine", "rows", "cols"]
SHAPE = ["m", "n", "k"]


def data(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per pattern and quantity, for the array and tile that were run with the most patterns.

    Cycles: median over seeds of the `rtl` rows. LUT, FF and DSP: from the `synthesis` rows of the same array.
    """
    fpga = tables["fpga"]
    rtl = fpga if fpga.empty else fpga[fpga["stage"] == "rtl"]
    if rtl.empty:
        return pd.DataFrame(columns=COLUMNS)
    keys = ["engine", "rows", "cols", *[c for c in SHAPE if c in rtl]]
    sizes = rtl.assign(p=rtl["pattern"].map(pattern_name)).groupby(keys)["p"].nunique()
    best = dict(zip(keys, sizes[sizes == sizes.max()].index.max(), strict=True))
    tile = rtl[(rtl[list(best)] == pd.Series(best)).all(axis=1)]
    array = {key: best[key] for key in ("engine", "rows", "cols")}
    made = fpga[(fpga["stage"] == "synthesis") & (fpga[list(array)] == pd.Series(array)).all(axis=1)]
    rows = pd.concat([_tidy(tile, "cycles"), *[_tidy(made, q) for q, _ in QUANTITIES[1:]]], ignore_index=True)
    rank = rows["pattern"].map(lambda p: ORDER.get(p, 9))
    order = rows["quantity"].map({q: i for i, (q, _) in enumerate(QUANTITIES)})
    return rows.assign(o=order, r=rank).sort_values(["o", "r", "pattern"]).drop(columns=["o", "r"]).reset_index(drop=True)


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
    made = rows[rows["quantity"] != "cycles"]
    tail = f"Yosys {'/'.join(sorted(set(made['target'].dropna())))}." if len(made) else "Logic: not measured here."
    text = f"{first['engine']} array {first['rows']:.0f}x{first['cols']:.0f}{shape}, INT4 x INT8. Cycles: Verilator. {tail} {measured(rows)}."
    under = foot_height(COLUMN, text)
    panels = [(q, title) for q, title in QUANTITIES if q in set(rows["quantity"])]
    count = rows["pattern"].nunique()
    resources = len(panels) - 1
    height = 0.175 * count
    total = 0.42 + height + (0.62 + height if resources else 0) + 0.22 + under
    figure = blank(COLUMN, total)
    top = total - 0.42
    labels = list(dict.fromkeys(rows["series"]))
    _panel(figure.add_axes((0.2, (top - height) / total, 0.74, height / total)), rows, panels[0], labels, first=True)
    top -= height + 0.62
    for i, panel in enumerate(panels[1:]):
        width = 0.8 / resources
        box = (0.2 + i * width, (top - height) / total, width - 0.055, height / total)
        _panel(figure.add_axes(box), rows, panel, labels, first=i == 0)
    figure.text(0.94, 1 - 0.03 / total, "| ideal: one kept weight per multiplier and cycle", fontsize=7, color=QUIET,
                ha="right", va="top")  # fmt: skip
    foot(figure, text, 0.05 / total)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, panel: tuple[str, str], labels: list[str], *, first: bool) -> None:
    quantity, title = panel
    rows = rows[rows["quantity"] == quantity]
    y = [labels.index(s) for s in rows["series"]]
    axes.barh(y, rows["value"], height=0.66, color=[colour(s) for s in rows["series"]])
    base = rows[rows["pattern"] == "dense"]["value"]
    for i, row in zip(y, rows.to_dict("records"), strict=True):
        if quantity == "cycles":
            axes.plot([row["ideal_cycles"]] * 2, [i - 0.4, i + 0.4], color=INK, linewidth=1.2)
        ratio = f" ({float(base.iloc[0]) / row['value']:.2f}x)" if quantity == "cycles" and len(base) else ""
        axes.annotate(
            f"{row['value']:,.0f}{ratio}", (row["value"], i), xytext=(3, 0), textcoords="offset points", va="center",
            fontsize=7,
        )  # fmt: skip
    axes.set_xlim(0, max(1.0, rows["value"].max()) * (1.42 if quantity == "cycles" else 1.75))
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_yticks(range(len(labels)), labels if first else [""] * len(labels))
    axes.set_title(title, fontsize=7.5)
    axes.locator_params(axis="x", nbins=5 if quantity == "cycles" else 2)
    tidy(axes)
