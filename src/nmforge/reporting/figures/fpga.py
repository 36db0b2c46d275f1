"""The accelerator: simulated cycles per pattern next to the ideal, and what each build costs in logic and clock."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from nmforge.core.lazy import mpl_ticker, pd
from nmforge.reporting.figures.registry import REGISTRY, Drawing
from nmforge.reporting.query import Tables, at, multipliers, pattern_name
from nmforge.reporting.style import (
    COLUMN,
    INK,
    QUIET,
    bar_rows,
    blank,
    colours,
    foot,
    foot_height,
    measured,
    series_name,
    tidy,
    unmeasured,
    write_value,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WORK, CLOCK, LUT = "work", "clock", "lut"
TARGETS = ("xcup", "ecp5")  # whose LUTs are shown
TITLES = {
    WORK: "thousand cycles x multipliers of one tile",
    f"{LUT} xcup": "US+ LUTs",
    f"{LUT} ecp5": "ECP5 LUTs",
    CLOCK: "ECP5 MHz",
}
COLUMNS = [
    "pattern", "series", "quantity", "value", "low", "high", "ideal", "over_dense", "engine", "window", "lanes", "rows",
    "cols", "multipliers",
]  # fmt: skip
SHAPE = ["m", "n", "k"]
SIZE = ["lanes", "rows", "cols"]
LEFT, RIGHT, GAP = 0.25, 0.7, 0.04  # of the figure's width
HEAD, STEP, BETWEEN, AXIS = 0.42, 0.165, 0.52, 0.24  # inches


def data(tables: Tables) -> pd.DataFrame:
    """One row per pattern (`work`) or build (the rest), for the tile that was run with the most patterns.

    `work` is cycles times multipliers on the pattern's own build, `ideal` the same for the ideal cycles. `lut xcup` and
    `lut ecp5` are LUTs after synthesis of the same array; `clock` is the median post-route clock of the device, with
    the slowest and fastest seed in `low` and `high`. `over_dense` is dense over this one for work, and this one over
    the dense build of the same array otherwise; empty where there is none.
    """
    fpga = tables["fpga"]
    rtl = at(fpga, stage="rtl")
    if rtl.empty:
        return pd.DataFrame(columns=COLUMNS)
    tile = _tile(rtl)
    first = tile.iloc[0]
    same = fpga[(fpga[SIZE] == first[SIZE]).all(axis=1)]
    parts = [_work(tile)]
    for target in TARGETS:
        synthesized = at(same, stage="synthesis", engine=first["engine"], target=target)
        parts.append(_builds(synthesized, "lut", f"{LUT} {target}"))
    parts.append(_builds(at(same, stage="route"), "fmax_mhz", CLOCK))
    return pd.concat([part for part in parts if len(part)], ignore_index=True).drop(columns="order")


def _tile(rtl: pd.DataFrame) -> pd.DataFrame:
    """Simulated rows of the engine and shape with the most patterns, each pattern on its smallest build."""
    keys = ["engine", *SIZE, *[column for column in SHAPE if column in rtl]]
    sizes = rtl.groupby(keys)["pattern"].nunique()
    best = dict(zip(keys, sizes[sizes == sizes.max()].index.max(), strict=True))
    tile = rtl[(rtl[list(best)] == pd.Series(best)).all(axis=1)].sort_values("window", kind="stable")
    return tile[tile["window"] == tile.groupby("pattern")["window"].transform("min")]


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
    """What a build runs: `dense`, `dense INT3`, `any N:4`; INT4 where no bits are named."""
    return ("dense" if window == 1 else f"any N:{window:.0f}") + ("" if bits == 4 else f" INT{bits:.0f}")


def plot(rows: pd.DataFrame) -> Figure:
    """A panel of work with the ideal as a tick, and below it a panel for each cost of a build."""
    if rows.empty:
        return unmeasured(COLUMN, "FPGA: not measured here")
    is_work = rows["quantity"] == WORK
    costs = list(dict.fromkeys(rows.loc[~is_work, "quantity"]))
    text = _foot(rows, costs)
    patterns, builds = (list(dict.fromkeys(rows.loc[chosen, "series"])) for chosen in (is_work, ~is_work))
    heights = STEP * len(patterns), STEP * len(builds)
    total = HEAD + heights[0] + (BETWEEN + heights[1] if costs else 0) + AXIS + foot_height(COLUMN, text)
    figure = blank(COLUMN, total)
    top = total - HEAD - heights[0]
    _panel(figure.add_axes((LEFT, top / total, RIGHT, heights[0] / total)), rows[is_work], patterns, named=True)
    top -= BETWEEN + heights[1]
    width = (RIGHT + GAP) / max(1, len(costs))
    for i, quantity in enumerate(costs):
        axes = figure.add_axes((LEFT + i * width, top / total, width - GAP, heights[1] / total))
        _panel(axes, rows[rows["quantity"] == quantity], builds, named=i == 0)
    legend = "| ideal: a kept weight per multiplier and cycle"
    figure.text(0.95, 1 - 0.03 / total, legend, fontsize=7, color=QUIET, ha="right", va="top")
    foot(figure, text, 0.05 / total)
    return figure


def _foot(rows: pd.DataFrame, costs: list[str]) -> str:
    """The array and the tile, which tool gave which number, and where."""
    first = rows.iloc[0]
    shape = f", tile M={first['m']:.0f} N={first['n']:.0f} K={first['k']:.0f}" if "m" in rows else ""
    array = f"{first['rows']:.0f}x{first['cols']:.0f} PEs{shape}"
    parts = [f"{array}, INT4 x INT8, one multiplier a PE. Cycles: Verilator, gain over dense."]
    if any(quantity.startswith(LUT) for quantity in costs):
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


def _panel(axes: Axes, rows: pd.DataFrame, labels: list[str], *, named: bool) -> None:
    """Bars of one quantity: the ideal as a tick on work, the range of the seeds on costs."""
    quantity = str(rows["quantity"].iloc[0])
    y = [labels.index(series) for series in rows["series"]]
    axes.barh(y, rows["value"], height=0.66, color=colours(rows["series"]) if quantity == WORK else QUIET)
    for i, row in zip(y, rows.to_dict("records"), strict=True):
        if quantity == WORK:
            axes.plot([row["ideal"]] * 2, [i - 0.4, i + 0.4], color=INK, linewidth=1.2)
        elif row["low"] != row["high"]:
            axes.plot([row["low"], row["high"]], [i, i], color=INK, linewidth=1.2)
        write_value(axes, _value_text(quantity, row), row["value"], i)
    axes.set_xlim(0, max(1.0, rows["value"].max()) * (1.5 if quantity == WORK else 3.3))
    bar_rows(axes, labels, named=named)
    axes.set_title(TITLES[quantity], fontsize=7.5)
    axes.xaxis.set_major_locator(mpl_ticker.MaxNLocator(nbins=5 if quantity == WORK else 2))
    scale = 1 if quantity == CLOCK else 1000
    suffix = "k" if quantity.startswith(LUT) else ""
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / scale:g}{suffix if value else ''}")
    tidy(axes)


SUMMARY = "cycles and resources of the dense and sparse arrays"
CAPTION = (
    "Cycles, cells and clock of the accelerator for each weight format on one array, from synthesis, routing and "
    "simulation."
)
REGISTRY.add(Drawing("fpga", SUMMARY, ("fpga",), data, plot, order=70, caption=CAPTION))
