"""The claims of LLaMA-7B throughput and of patterns beyond 2:4 on an FPGA."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from nmforge.reporting.claims.entry import LLAMA, NOT_REACHED, REPRODUCED, Entry, Tables, factor, missing, table_of
from nmforge.reporting.query import at, headline_context, most_threads, multipliers, origin, pattern_name


def llama_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """LLaMA-7B per token, linear layers only: what 2:4 adds over dense weights on the same machine."""
    claim = "1.36x LLaMA-7B throughput per token"
    scaling, kernels = table_of(tables, "scaling"), table_of(tables, "kernels")
    for platform in ("GPU", "CPU", "FPGA"):
        rows = scaling if scaling.empty else scaling[(scaling["platform"] == platform)]
        rows = rows if rows.empty else rows[(rows["pattern"] == "2:4") & rows["speedup_vs_dense"].notna()]
        if platform != "FPGA" and len(rows):
            family = "ours" if (rows["family"] == "ours").any() else "paper"
            rows = headline_context(most_threads(rows[rows["family"] == family]))
        if rows.empty:
            reason = "no CUDA device was measured" if platform == "GPU" else "no 2:4 and dense rows at its shapes"
            yield missing(claim, "1.36x", platform, reason)
            continue
        row = rows.sort_values("speedup_vs_dense", kind="stable").iloc[-1]
        baseline = f"dense INT{row['bits']}, " + (
            "same kernels" if platform != "FPGA" else "equal clock and multipliers"
        )
        where = f"{platform}, 2:4 INT{row['bits']}, {_part(row)}"
        source = str(row["source"])
        if here is None and source == "measured here" and not kernels.empty:
            source = origin(kernels, None)  # the scaling table was made where the kernels ran; its reader is elsewhere
        yield factor(claim, LLAMA, float(row["speedup_vs_dense"]), where, baseline, source)
        yield from _whole_model(claim, row, scaling, source)


def _part(row: pd.Series) -> str:
    """Which part of the model a row of the scaling table counts."""
    if row["platform"] == "FPGA":
        return f"linear layers, {row['engine']} {row['rows']:.0f}x{row['cols']:.0f}"
    return f"whole model, context {row['context']}" if row["context"] else "linear layers, M=1, streamed"


def _whole_model(claim: str, row: pd.Series, scaling: pd.DataFrame, source: str) -> Iterator[Entry]:
    """A model that was decoded as a whole also stands against dense bf16 on the same kernels, and the peers."""
    if not row["context"]:
        return
    same = at(scaling, platform=row["platform"], device=row["device"], threads=row["threads"], context=row["context"])
    rivals = same[((same["bits"] == 16) & (same["family"] == "ours")) | (same["family"] == "peer")]
    for _, rival in rivals.iterrows():
        against = "dense bf16, same decoder" if rival["family"] == "ours" else f"{rival['kernel']}"
        where = f"{row['platform']}, 2:4 INT{row['bits']}, {_part(row)}"
        if pd.isna(rival["us_of_2of4"]):
            yield missing(claim, f"{LLAMA:.3g}x", where, f"no run has 2:4 INT4 take turns with {against}")
            continue
        yield factor(claim, LLAMA, float(rival["us_per_token"]) / float(rival["us_of_2of4"]), where, against, source)


def pattern_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """1:4 and 4:8 on the same RTL: fewer cycles per multiplier than dense, and no output that differs."""
    claim = "patterns beyond 2:4 on FPGA"
    fpga = at(table_of(tables, "fpga"), stage="rtl")
    for pattern in ("1:4", "4:8"):
        where = f"FPGA (RTL simulation), {pattern} INT4"
        rows = fpga if fpga.empty else fpga[fpga["pattern"].map(pattern_name) == pattern]
        if rows.empty:
            yield missing(claim, "exact, fewer cycles", where, f"no simulated {pattern} rows")
            continue
        yield _pattern_entry(claim, where, rows, fpga, here)


def _pattern_entry(claim: str, where: str, rows: pd.DataFrame, fpga: pd.DataFrame, here: str | None) -> Entry:
    """Verdict from the worst simulated run: exact on every output, and less multiplier time than dense."""
    work = fpga.assign(work=fpga["cycles"] * fpga.apply(multipliers, axis=1))
    dense = work[work["pattern"].map(pattern_name) == "dense"]
    keys = [c for c in ("engine", "m", "n", "k") if c in fpga]
    both = work.loc[rows.index].merge(
        dense.groupby(keys, as_index=False)["work"].min(), on=keys, suffixes=("", "_dense")
    )
    compared, wrong = int(rows["outputs_compared"].sum()), int(rows["mismatches"].sum())
    text = f"{wrong} of {compared:,} outputs differ, {rows['efficiency'].min():.0%} of ideal"
    if both.empty:
        return missing(claim, "exact, fewer cycles", where, "no dense run of the same tile")
    gain = float((both["work_dense"] / both["work"]).min())
    good = wrong == 0 and compared > 0 and gain > 1
    return Entry(
        claim,
        "exact, fewer cycles",
        f"{gain:.2f}x fewer cycles per multiplier; {text}",
        where,
        "dense INT4, same tile, same number of multipliers",
        REPRODUCED if good else NOT_REACHED,
        origin(rows, here),
        1.0,
        gain,
    )


def routed_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Wall-clock gain over dense of the same multipliers, placed and routed: cycles times clock; and that per LUT."""
    claim = "sparsity pays on the routed array"
    fpga = table_of(tables, "fpga")
    for pattern in ("2:4", "1:4"):
        where = f"ECP5-85k, {pattern} INT4"
        found = _routed(fpga, pattern)
        if found is None:
            yield missing(claim, "more than 1x", where, f"no routed build for {pattern} and dense")
            continue
        gain, area, rows, first = found
        text = f"{gain:.2f}x faster, {gain / area:.2f}x per LUT ({100 * (area - 1):+.0f} % LUTs)"
        array = f"{first['rows']:.0f}x{first['cols']:.0f} device, {len(rows)} routed designs"
        good = REPRODUCED if gain / area > 1 else NOT_REACHED
        baseline = "dense INT4, same multipliers, median clocks of seeds"
        yield Entry(claim, "more than 1x", text, f"{where}, {array}", baseline, good, origin(rows, here), 1.0, gain)


def _routed(fpga: pd.DataFrame, pattern: str) -> tuple[float, float, pd.DataFrame, pd.Series] | None:
    """Wall-clock gain, LUTs over dense, the routed rows used and the first of them, for the largest array routed."""
    if fpga.empty or "fmax_mhz" not in fpga:
        return None
    rtl = at(fpga, stage="rtl")
    named = rtl["pattern"].map(pattern_name)
    sparse, dense = rtl[named == pattern], rtl[(named == "dense") & (rtl["window"] == 1)]
    routed = at(fpga, stage="route", lanes=1, bits=4)
    if sparse.empty or dense.empty or routed.empty:
        return None
    window = int(sparse["window"].min())
    sizes = routed.groupby(["rows", "cols"])["window"].apply(set)
    fitting = sizes[[{1, window} <= builds for builds in sizes]]
    if fitting.empty:
        return None
    rows, cols = max(fitting.index)
    used = routed[(routed["rows"] == rows) & (routed["cols"] == cols) & routed["window"].isin([1, window])]
    clock, luts = used.groupby("window")["fmax_mhz"].median(), used.groupby("window")["lut"].median()
    keys = [key for key in ("m", "n", "k") if key in fpga]
    both = sparse[sparse["window"] == window].merge(dense, on=keys, suffixes=("", "_dense"))
    if both.empty:
        return None
    cycles = float((both["cycles_dense"] / both["cycles"]).median())
    return cycles * clock[window] / clock[1], luts[window] / luts[1], used, used.iloc[0]
