"""The ledger: each claim of arXiv 2512.24713 beside what the tables of this run say about it.

A verdict is computed from two numbers. Where a table or a row is missing the row says which, and that the
claim is not measurable here. The last rows are questions the paper does not ask of itself.
"""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import pandas as pd

from nmforge.selection import (
    FULL_PRECISION,
    OURS_2OF4,
    OURS_INT3,
    OURS_INT4,
    PEER_INT4,
    Query,
    at,
    most_threads,
    multipliers,
    on_platform,
    origin,
    pair,
    pattern_name,
)

PAPER = "arXiv 2512.24713"
REPRODUCED, EXCEEDED, NOT_REACHED = "reproduced", "exceeded", "not reached"
NOT_MEASURABLE = "not measurable here"
TOLERANCE = 0.05  # within 5 % of the claimed factor counts as reproduced

STORAGE, MATMUL, END_TO_END, LLAMA = 4.0, 1.71, 1.29, 1.36
USABLE = 2.0  # our bar for "the model still works": perplexity at most twice the dense one

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Entry:
    """One row of the ledger. `ours` and `claimed` are texts; the values behind them ride along."""

    claim: str
    claimed: str
    ours: str
    platform: str
    baseline: str
    verdict: str
    source: str
    claimed_value: float = math.nan
    ours_value: float = math.nan


COLUMNS = list(Entry.__dataclass_fields__)


def verdict(ours: float, claimed: float) -> str:
    """Compare a factor with the claimed one: within TOLERANCE is `reproduced`, above it `exceeded`."""
    if math.isnan(ours):
        return NOT_MEASURABLE
    if ours > claimed * (1 + TOLERANCE):
        return EXCEEDED
    return REPRODUCED if ours >= claimed * (1 - TOLERANCE) else NOT_REACHED


def factor(claim: str, claimed: float, ours: float, platform: str, baseline: str, source: str) -> Entry:
    """A row whose verdict compares two factors."""
    texts = (f"{claimed:.3g}x", f"{ours:.2f}x")
    return Entry(claim, *texts, platform, baseline, verdict(ours, claimed), source, claimed, ours)


def missing(claim: str, claimed: str, platform: str, reason: str) -> Entry:
    """A row for a claim that no measurement of this run speaks to."""
    return Entry(claim, claimed, "-", platform, "-", NOT_MEASURABLE, reason)


def _table(tables: Tables, name: str) -> pd.DataFrame:
    return tables.get(name, pd.DataFrame())


# --- storage ---------------------------------------------------------------------------------------------


def storage_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Bytes of one packed 4096x4096 matrix, and of the compressed linear layers of the real model."""
    claim = "4x less weight storage"
    yield _square_storage(_table(tables, "kernels"), claim, here)
    storage = at(_table(tables, "storage"), scope="linear")
    if storage.empty:
        yield missing(claim, "4x", "model, linear layers", "no storage rows")
        return
    sparse = storage[(storage["pattern"].map(pattern_name) == "2:4") & (storage["bits"] == 4)]
    in_place = sparse[(sparse["design_id"] == "paper-2of4") & (sparse["encoding"] == "none")]
    for rows, how in [(in_place, "zeros in place, as the paper"), (sparse[sparse["encoding"] != "none"], "packed")]:
        if len(rows):
            row = rows.sort_values(["bits_per_weight", "design_id"]).iloc[0]
            where = f"{row['model']}, linear layers, {row['design_id']}, {how} ({row['encoding']})"
            saved = 16 / float(row["bits_per_weight"])
            yield factor(claim, STORAGE, saved, where, "the same layers in fp16", origin([row], here))
        else:
            yield missing(claim, "4x", f"model, linear layers, {how}", "no such 2:4 INT4 storage row")


def _square_storage(kernels: pd.DataFrame, claim: str, here: str | None) -> Entry:
    where = "4096x4096, 2:4 INT4 as our kernel reads it"
    rows = at(_ours_2of4(kernels), n=4096, k=4096)
    rows = rows if rows.empty else rows[rows["weight_bytes"].notna()]
    if rows.empty:
        return missing(claim, "4x", where, "no 2:4 INT4 kernel rows at 4096x4096")
    row = rows.sort_values("weight_bytes", kind="stable").iloc[0]
    saved = 2 * 4096 * 4096 / float(row["weight_bytes"])
    return factor(claim, STORAGE, saved, where, "fp16, 33,554,432 bytes", origin([row], here))


def _ours_2of4(kernels: pd.DataFrame) -> pd.DataFrame:
    if kernels.empty:
        return kernels
    ours = kernels[(kernels["family"] == "ours") & (kernels["bits"] == 4)]
    return ours[ours["pattern"].map(pattern_name) == "2:4"]


# --- kernels at 4096x4096 --------------------------------------------------------------------------------

FUSED_CLAIMS = [  # our kernels need no separate dequantization, so their matmul is their end-to-end time
    (MATMUL, OURS_2OF4, OURS_INT4, "ours 2:4 INT4", "ours dense INT4"),
    (MATMUL, OURS_2OF4, PEER_INT4, "ours 2:4 INT4", "ONNX Runtime dense INT4"),
    (MATMUL, OURS_2OF4, FULL_PRECISION, "ours 2:4 INT4", "dense, torch"),
]


def matmul_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Matmul only: the paper's unfused path on GPU and CPU, then our kernels on the CPU."""
    yield from _paper_path(tables, here, "1.71x faster matmul", MATMUL, "matmul")
    yield from _ratios(tables, here, "1.71x faster matmul", FUSED_CLAIMS)


def end_to_end_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Dequantize + matmul: the paper's path, then our fused kernel against that path with dense weights."""
    claim = "1.29x lower end-to-end latency"
    yield from _paper_path(tables, here, claim, END_TO_END, "end_to_end")
    unfused = Query("paper", "dense", (4,), "end_to_end")
    fused = (END_TO_END, OURS_2OF4, unfused, "ours 2:4 INT4, fused", "dense INT4, dequantize + matmul")
    yield from _ratios(tables, here, claim, [fused])


def _paper_path(tables: Tables, here: str | None, claim: str, claimed: float, stage: str) -> Iterator[Entry]:
    """The paper's unfused path, 2:4 against dense weights, at the largest M measured, per platform."""
    kernels = at(_table(tables, "kernels"), n=4096, k=4096)
    part = "matmul only" if stage == "matmul" else "dequantize + matmul"
    for platform in ("GPU", "CPU"):
        rows = most_threads(on_platform(kernels, platform))
        where = f"{platform}, unfused path of the paper, {part}"
        best = None
        for bits in ((4,), (16,)):
            queries = [Query("paper", pattern, bits, stage) for pattern in ("2:4", "dense")]
            best = best or (pair(at(rows, m=rows["m"].max()), *queries) if len(rows) else None)
        if best is None:
            device = "no CUDA device was measured" if platform == "GPU" and rows.empty else "no such pair of rows"
            yield missing(claim, f"{claimed:.3g}x", where, device)
        else:
            yield factor(
                claim, claimed, best.ratio, f"{where}, {_shape(best.row)}", "the same path, dense weights",
                origin([best.row, best.baseline], here),
            )  # fmt: skip


def _shape(row: pd.Series) -> str:
    return f"M={row['m']}, {row['cache']}, {row['threads']} thread{'s' if row['threads'] != 1 else ''}"


def _ratios(
    tables: Tables, here: str | None, claim: str, questions: list[tuple[float, Query, Query, str, str]]
) -> Iterator[Entry]:
    """Our CPU kernels at M = 1 and at the largest M, streamed, against each named baseline."""
    kernels = at(on_platform(_table(tables, "kernels"), "CPU"), n=4096, k=4096, cache="streamed")
    kernels = most_threads(kernels)
    sizes = sorted({1, int(kernels["m"].max())}) if len(kernels) else [1]
    for claimed, query, baseline, name, against in questions:
        for m in sizes:
            found = pair(at(kernels, m=m), query, baseline)
            if found is None:
                reason = f"no run holds both {name} and {against} at 4096x4096"
                yield missing(claim, f"{claimed:.3g}x", f"CPU, {name}, M={m}", reason)
                continue
            exact = f"{against} ({found.baseline['kernel']})"
            where = f"CPU, {name}, {_shape(found.row)}"
            yield factor(claim, claimed, found.ratio, where, exact, origin([found.row, found.baseline], here))


# --- LLaMA-7B --------------------------------------------------------------------------------------------


def llama_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """LLaMA-7B per token, linear layers only: what 2:4 adds to the same kernel or array with dense weights."""
    del here  # the scaling table already carries its sources
    claim = "1.36x LLaMA-7B throughput per token"
    scaling = _table(tables, "scaling")
    for platform in ("GPU", "CPU", "FPGA"):
        rows = scaling if scaling.empty else scaling[(scaling["platform"] == platform)]
        rows = rows if rows.empty else rows[(rows["pattern"] == "2:4") & rows["speedup_vs_dense"].notna()]
        if platform != "FPGA" and len(rows):
            family = "ours" if (rows["family"] == "ours").any() else "paper"
            rows = most_threads(rows[rows["family"] == family])
        if rows.empty:
            reason = "no CUDA device was measured" if platform == "GPU" else "no 2:4 and dense rows at its shapes"
            yield missing(claim, "1.36x", platform, reason)
            continue
        row = rows.sort_values("speedup_vs_dense", kind="stable").iloc[-1]
        baseline = f"dense INT{row['bits']}, " + ("same kernels" if platform != "FPGA" else "equal clock and multipliers")
        where = f"{platform}, 2:4 INT{row['bits']}, linear layers" + (
            f", {row['engine']} {row['rows']:.0f}x{row['cols']:.0f}" if platform == "FPGA" else ", M=1, streamed"
        )
        yield factor(claim, LLAMA, float(row["speedup_vs_dense"]), where, baseline, str(row["source"]))


# --- patterns beyond 2:4 ---------------------------------------------------------------------------------


def pattern_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """1:4 and 4:8 on the same RTL: fewer cycles per multiplier than dense, and no output that differs."""
    claim = "patterns beyond 2:4 on FPGA"
    fpga = at(_table(tables, "fpga"), stage="rtl")
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
    both = work.loc[rows.index].merge(dense.groupby(keys, as_index=False)["work"].min(), on=keys, suffixes=("", "_dense"))
    compared, wrong = int(rows["outputs_compared"].sum()), int(rows["mismatches"].sum())
    text = f"{wrong} of {compared:,} outputs differ, {rows['efficiency'].min():.0%} of ideal"
    if both.empty:
        return missing(claim, "exact, fewer cycles", where, "no dense run of the same tile")
    gain = float((both["work_dense"] / both["work"]).min())
    good = wrong == 0 and compared > 0 and gain > 1
    return Entry(
        claim, "exact, fewer cycles", f"{gain:.2f}x fewer cycles per multiplier; {text}", where, "dense INT4, same tile, same number of multipliers",
        REPRODUCED if good else NOT_REACHED, origin(rows, here), 1.0, gain,
    )  # fmt: skip


# --- our own questions -----------------------------------------------------------------------------------


def accuracy_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Does the paper's recipe leave a usable model, and does 2:4 INT4 beat dense INT3 of the same storage?"""
    accuracy = at(_table(tables, "accuracy"), mode="w4a16")
    usable, rival = "the paper's recipe keeps the model usable", "2:4 INT4 as accurate as dense INT3, equal storage"
    recipe = at(accuracy, design_id="paper-2of4")
    if recipe.empty:
        yield missing(usable, f"our bar: ppl <= {USABLE:g}x dense", "accuracy", "paper-2of4 was not evaluated")
    for _, row in recipe.iterrows():
        yield _usable(usable, row, here)
    models = sorted(set(accuracy["model"])) if len(accuracy) else []
    for model in models:
        yield _accuracy_rival(rival, at(accuracy, model=model), here)
    if not models:
        yield missing(rival, "our question", "accuracy", "no accuracy rows")


def _protocol(row: pd.Series) -> str:
    return f"{row['model']}, W4A16, {row['tokens']:,} tokens of {row['dataset']} at {row['seqlen']}"


def _usable(claim: str, row: pd.Series, here: str | None) -> Entry:
    worse = float(row["ratio_to_dense"])
    good = REPRODUCED if worse <= USABLE else NOT_REACHED
    return Entry(
        claim, f"our bar: ppl <= {USABLE:g}x dense", f"ppl {row['ppl']:,.4g} = {worse:,.3g}x dense",
        f"paper-2of4, {_protocol(row)}", "dense-bf16", good, origin([row], here), USABLE, worse,
    )  # fmt: skip


def _accuracy_rival(claim: str, accuracy: pd.DataFrame, here: str | None) -> Entry:
    pattern = accuracy["pattern"].map(pattern_name)
    sparse = accuracy[(pattern == "2:4") & (accuracy["bits"] == 4)]
    dense = accuracy[(pattern == "dense") & (accuracy["bits"] == 3)]
    if sparse.empty or dense.empty:
        return missing(claim, "our question", str(accuracy["model"].iloc[0]), "needs a 2:4 INT4 and an INT3 point")
    ours, rival = (rows.sort_values(["ppl", "design_id"]).iloc[0] for rows in (sparse, dense))
    gain = float(rival["ppl"] / ours["ppl"])
    text = f"ppl {ours['ppl']:.4g} at {ours['bits_per_weight']:.3g} b/w"
    against = f"{rival['design_id']}, ppl {rival['ppl']:.4g} at {rival['bits_per_weight']:.3g} b/w"
    return Entry(
        claim, "our question", text, f"{ours['design_id']}, {_protocol(ours)}", against,
        verdict(gain, 1.0), origin([ours, rival], here), 1.0, gain,
    )  # fmt: skip


def rival_time_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Is our 2:4 INT4 kernel at least as fast as our INT3 kernel, which reads about as many bytes?"""
    claim = "2:4 INT4 as fast as dense INT3, equal storage"
    question = (1.0, OURS_2OF4, OURS_INT3, "ours 2:4 INT4", "ours dense INT3")
    yield from _ratios(tables, here, claim, [question])


def coherence_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """The gap the paper was withdrawn over: every backend gives the same INT32, counted."""
    claim, claimed = "one arithmetic on every backend", "0 mismatches"
    coherence = _table(tables, "coherence")
    for backend, name in (("cpu", "C++ kernel"), ("rtl", "RTL simulation")):
        rows = at(coherence, backend=backend)
        compared = 0 if rows.empty else int(rows["compared"].sum())
        if compared == 0:
            yield missing(claim, claimed, name, f"no {backend} accumulators were compared")
            continue
        wrong, designs = int(rows["mismatches"].sum()), rows["design_id"].nunique()
        yield Entry(
            claim, claimed, f"{wrong} of {compared:,} INT32 differ", f"{name}, {designs} design points",
            "reference, compared with ==", REPRODUCED if wrong == 0 else NOT_REACHED, origin(rows, here), 0.0, wrong,
        )  # fmt: skip


SECTIONS: list[Callable[[Tables, str | None], Iterator[Entry]]] = [
    storage_entries, matmul_entries, end_to_end_entries, llama_entries, pattern_entries,
    accuracy_entries, rival_time_entries, coherence_entries,
]  # fmt: skip


def ledger(tables: Tables, *, here: str | None = None) -> pd.DataFrame:
    """The ledger of claims.

    Args:
        tables: `accuracy`, `storage`, `kernels`, `fpga`, `coherence` and `scaling`, each optional.
        here: host name of this machine; numbers taken on it read `measured here`.

    Returns:
        One row per claim, platform and baseline, columns as in `Entry`, in the order of `SECTIONS`.
    """
    return pd.DataFrame([asdict(entry) for section in SECTIONS for entry in section(tables, here)], columns=COLUMNS)


# --- printing --------------------------------------------------------------------------------------------

WIDTHS = (22, 46, 34, 20)  # ours | platform | baseline | verdict
COLOURS = {REPRODUCED: "32", EXCEEDED: "36", NOT_REACHED: "31", NOT_MEASURABLE: "2"}


def format_ledger(table: pd.DataFrame, *, colour: bool | None = None) -> str:
    """The ledger for a terminal: one heading per claim, wrapped cells, colour only on a terminal."""
    colour = sys.stdout.isatty() if colour is None else colour
    width = sum(WIDTHS) + 2 * len(WIDTHS) + 2
    lines = [f"Ledger of claims ({PAPER})", "=" * width, _line(("ours", "platform", "against", "verdict"), False)]
    for (claim, claimed), rows in table.groupby(["claim", "claimed"], sort=False):
        lines += ["-" * width, f"{claim}   [{claimed}]"]
        for row in rows.to_dict("records"):
            lines.append(_line((row["ours"], row["platform"], row["baseline"], row["verdict"]), colour))
            lines.append(" " * (WIDTHS[0] + 4) + row["source"])
    counts = table["verdict"].value_counts()
    total = ", ".join(f"{counts.get(name, 0)} {name}" for name in COLOURS)
    return "\n".join([*lines, "=" * width, total])


def _line(cells: tuple[str, ...], colour: bool) -> str:
    columns = [textwrap.wrap(cell, w) or [""] for cell, w in zip(cells, WIDTHS, strict=True)]
    height = max(map(len, columns))
    out = []
    for i in range(height):
        texts = [(c[i] if i < len(c) else "").ljust(w) for c, w in zip(columns, WIDTHS, strict=True)]
        if colour and texts[-1].strip():
            texts[-1] = f"\x1b[{COLOURS[cells[-1]]}m{texts[-1].rstrip()}\x1b[0m"
        out.append(("  " + "  ".join(texts)).rstrip())
    return "\n".join(out)


def markdown(table: pd.DataFrame) -> str:
    """The ledger as a Markdown table for the README."""
    names = ["claim", "claimed", "ours", "platform", "baseline", "verdict", "source"]
    lines = ["| " + " | ".join(["against" if n == "baseline" else n for n in names]) + " |", "|---" * len(names) + "|"]
    for row in table.to_dict("records"):
        lines.append("| " + " | ".join(str(row[name]).replace("|", "\\|") for name in names) + " |")
    return "\n".join(lines) + "\n"
