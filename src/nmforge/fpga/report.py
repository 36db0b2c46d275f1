"""The fpga table as a page of text: what each pattern takes in cycles, and what its build costs in logic and clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.fpga.model.rows import build_name

ARRAY = ["rows", "cols", "lanes"]
TILE = ["m", "n", "k"]
BUILD = {
    "engine": "engine", "array": "array", "pattern": "pattern", "windows": "window", "cycles": "cycles",
    "efficiency": "efficiency",
}  # fmt: skip
ROUTED = {"comb": "COMB", "routed_ff": "FF", "fmax_mhz": "Fmax MHz", "seeds": "seeds"}
GAINS = {"cycle_gain": "cycles", "wall_clock_gain": "wall clock"}
NOTES = (
    "cycles: RTL simulation of one tile; synthesis: Yosys, of the engine alone; place and route: nextpnr on an\n"
    "ECP5-85k, of the device around the gemm array, median of its seeds; speed-up: over the dense build of the same\n"
    "array, by cycles alone and by cycles x Fmax. Codes are INT4 where nothing else is said. A dash: not measured."
)
BuildKey = tuple[str, str, int, int]  # engine, array, windows, bits
Costs = dict[BuildKey, dict[str, Any]]


def _groups(fpga: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Group -> column -> heading; synthesis has the columns of every family in the table."""
    targets = sorted(set(fpga.loc[fpga["stage"] == "synthesis", "target"]))
    synthesis = {f"{name}_{what}": f"{name} {what}".upper() for name in targets for what in ("lut", "ff")}
    groups = {"": BUILD, "synthesis": synthesis, "place and route": ROUTED, "over dense": GAINS}
    return {name: columns for name, columns in groups.items() if columns}


def report_rows(fpga: pd.DataFrame) -> pd.DataFrame:
    """One row for each simulated pattern, then one for each build that was only synthesized or routed.

    Columns are those of `_groups`; what was not measured is missing. Gains compare with the dense build (windows of
    1) of the same array, for the same tile: `cycle_gain` by cycles, `wall_clock_gain` by cycles times post-route clock.
    """
    if fpga.empty:
        raise NmforgeError("the fpga table has no rows; run snakemake --cores all results/tables/fpga.parquet")
    builds = _builds(fpga)
    rtl = fpga[fpga["stage"] == "rtl"]
    rows = [_simulated(row, builds) for row in _medians(rtl)]
    used = {(row["engine"], row["array"], row["windows"], 4) for row in rows}
    rest = [row for key, row in builds.items() if key not in used]
    return pd.DataFrame([*rows, *rest]).reindex(columns=[key for columns in _groups(fpga).values() for key in columns])


def format_report(fpga: pd.DataFrame) -> str:
    """The rows as aligned text with headings, notes and where they were measured."""
    rows = report_rows(fpga)
    cells = [[_text(key, value) for key, value in row.items()] for row in rows.to_dict("records")]
    groups = _groups(fpga)
    headings = [heading for columns in groups.values() for heading in columns.values()]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    banner = _banner({name: len(columns) for name, columns in groups.items()}, widths)
    lines = [banner, _line(headings, widths), "-" * (sum(widths) + 2 * len(widths) - 2)]
    lines += [_line(row, widths) for row in cells]
    places = sorted({f"{host}, {str(date)[:10]}" for host, date in zip(fpga["host"], fpga["date"], strict=True)})
    return "\n".join([*lines, "", NOTES, f"Measured on {'; '.join(places)}."])


def _medians(rtl: pd.DataFrame) -> list[dict[Any, Any]]:
    """Median cycles and efficiency of each engine, pattern and tile, dense and small windows first.

    Each also has `dense_cycles`, those of the dense build on the same tile.
    """
    if rtl.empty:
        return []
    place = ["engine", *ARRAY, *TILE]
    middle = rtl.groupby([*place, "window", "pattern"], as_index=False)[["cycles", "efficiency"]].median()
    dense = middle[middle["window"] == 1].rename(columns={"cycles": "dense_cycles"})[[*place, "dense_cycles"]]
    ordered = middle.sort_values(["engine", *ARRAY, "window", "cycles"], ascending=[True] * 5 + [False])
    return list(ordered.merge(dense, on=place, how="left").to_dict("records"))


def _array(row: Any) -> str:
    lanes = "" if row["lanes"] == 1 else f"x{row['lanes']:.0f}"
    return f"{row['rows']:.0f}x{row['cols']:.0f}{lanes}"


def _builds(fpga: pd.DataFrame) -> Costs:
    """Costs of every build; what is routed as a device counts for the gemm engine."""
    found: Costs = {}
    for stage, names in (("synthesis", ("lut", "ff")), ("route", ("lut", "ff", "fmax_mhz"))):
        rows = fpga[fpga["stage"] == stage]
        for (engine, *_, target), same in rows.groupby(["engine", *ARRAY, "window", "bits", "target"]):
            kind, first = "gemm" if engine == "device" else str(engine), same.iloc[0]
            build = kind, _array(first), int(first["window"]), int(first["bits"])
            line = found.setdefault(build, _blank(*build))
            middle = same[list(names)].median()
            if stage == "synthesis":
                line |= {f"{target}_lut": middle["lut"], f"{target}_ff": middle["ff"]}
            else:
                line |= {"comb": middle["lut"], "routed_ff": middle["ff"], "fmax_mhz": middle["fmax_mhz"]}
                line["seeds"] = same["seed"].nunique()
    return found


def _blank(engine: str, array: str, window: int, bits: int) -> dict[str, Any]:
    pattern = build_name(window) + ("" if bits == 4 else f" INT{bits}")
    return {"engine": engine, "array": array, "windows": window, "pattern": pattern}


def _simulated(row: Mapping[Any, Any], builds: Costs) -> dict[str, Any]:
    """The line of one simulated pattern: its cycles, its build's costs and its gains."""
    engine, array, window = row["engine"], _array(row), int(row["window"])
    costs, dense = builds.get((engine, array, window, 4), {}), builds.get((engine, array, 1, 4), {})
    gain = row["dense_cycles"] / row["cycles"]
    pattern = Pattern.parse(str(row["pattern"])).label
    return costs | {
        "engine": engine, "array": array, "windows": window, "pattern": pattern, "cycles": row["cycles"],
        "efficiency": row["efficiency"], "cycle_gain": gain,
        "wall_clock_gain": gain * costs.get("fmax_mhz", math.nan) / dense.get("fmax_mhz", math.nan),
    }  # fmt: skip


def _text(key: Any, value: Any) -> str:
    """A cell: whole numbers with separators, shares in percent, gains with a times sign."""
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return "-"
    if key == "efficiency":
        return f"{100 * value:.1f} %"
    if key.endswith("gain"):
        return f"{value:.2f}x"
    return f"{value:.1f}" if key == "fmax_mhz" else f"{value:,.0f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Names to the left, numbers to the right."""
    aligned = [c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
    return "  ".join(aligned).rstrip()


def _banner(groups: Mapping[str, int], widths: Sequence[int]) -> str:
    """The heading above groups of columns."""
    parts, at = [], 0
    for name, count in groups.items():
        span = sum(widths[at : at + count]) + 2 * (count - 1)
        parts.append(name.center(span, " " if not name else "-")[:span])
        at += count
    return "  ".join(parts)
