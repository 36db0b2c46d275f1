"""The claim of LLaMA-7B throughput: what 2:4 adds over dense weights on the same machine."""

from __future__ import annotations

from collections.abc import Iterator

from nmforge.core.lazy import pd
from nmforge.reporting.claims.registry import REGISTRY, Claim
from nmforge.reporting.paper import LLAMA7B
from nmforge.reporting.query import LIBRARY, Tables, at, headline_context, most_threads, origin, ratio_interval
from nmforge.reporting.verdicts import Entry, Interval, factor, headline, missing

CLAIM = f"{LLAMA7B}x LLaMA-7B throughput per token"
MULTIPLICATIONS = 2.0  # of dense weights, for each one of 2:4
ABSENT = {
    "GPU": "no CUDA device was measured",
    "CPU": "no 2:4 and dense rows at its shapes",
    "FPGA": "no array that was routed, and so has a clock, ran a layer of its shapes",
}


def entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """The best 2:4 row of each platform against dense weights; a whole model also against the libraries."""
    scaling = tables["scaling"]
    for platform in ("GPU", "CPU", "FPGA"):
        rows = _sparse_rows(scaling, platform)
        if rows.empty:
            yield missing(CLAIM, LLAMA7B, platform, ABSENT[platform])
            continue
        row = rows.sort_values("speedup_vs_dense", kind="stable").iloc[-1]
        how = "equal clock and multipliers" if platform == "FPGA" else "same kernels"
        source = _source(row, tables["kernels"], here)
        gain = float(row["speedup_vs_dense"])
        entry = factor(
            CLAIM, LLAMA7B, _interval(gain, row, scaling), _where(row), f"dense INT{row['bits']}, {how}", source
        )
        yield headline(entry) if platform == "CPU" else entry
        if row["context"]:
            yield from _whole_model(row, scaling, source)


def _sparse_rows(scaling: pd.DataFrame, platform: str) -> pd.DataFrame:
    """2:4 rows of a platform that have a dense partner; of kernels ours, or else the paper's, with the most threads.

    An array counts with its own routed clock: cycles of a core that was not routed are no throughput.
    """
    rows = at(scaling, platform=platform, pattern="2:4")
    rows = rows if rows.empty else rows[rows["speedup_vs_dense"].notna()]
    if platform == "FPGA" and len(rows):
        return rows[rows["clock_mhz"].notna()]
    if rows.empty:
        return rows
    family = "nmforge" if (rows["family"] == "nmforge").any() else "baseline"
    return headline_context(most_threads(rows[rows["family"] == family]))


def _interval(gain: float, row: pd.Series, scaling: pd.DataFrame) -> float | Interval:
    """The gain with the interval of both times; the gain alone where a side has no error, as a modelled array has.

    Its limit is what half of the multiplications or fewer bytes allow, the larger of the two.
    """
    alike = {key: row[key] for key in ("platform", "device", "family", "bits", "threads", "stage", "context")}
    dense = at(scaling, pattern="dense", **alike)
    if dense.empty or pd.isna(row["us_error"]) or dense["us_error"].isna().all():
        return gain
    sides = [row, dense.sort_values("us_per_token", kind="stable").iloc[0]]
    errors = (float(side["us_error"]) / float(side["us_per_token"]) for side in sides)
    ours, others = (float(side["bytes_per_token"]) for side in sides)
    return ratio_interval(gain, *errors, limit=max(MULTIPLICATIONS, others / ours))


def _source(row: pd.Series, kernels: pd.DataFrame, here: str | None) -> str:
    """Where a row was measured; on another machine than the scaling table's, where its kernels ran."""
    source = str(row["source"])
    elsewhere = here is None and source == "measured here" and not kernels.empty
    return origin(kernels, None) if elsewhere else source


def _where(row: pd.Series) -> str:
    """Platform, format, and which part of the model a row of the scaling table counts."""
    part = f"whole model, context {row['context']}" if row["context"] else "linear layers, M=1, streamed"
    if row["platform"] == "FPGA":
        part = f"linear layers, {row['engine']} {row['rows']:.0f}x{row['cols']:.0f}"
    return f"{row['platform']}, 2:4 INT{row['bits']}, {part}"


def _whole_model(row: pd.Series, scaling: pd.DataFrame, source: str) -> Iterator[Entry]:
    """A model that was decoded as a whole, against dense bf16 on the same kernels and against the libraries."""
    same = at(scaling, platform=row["platform"], device=row["device"], threads=row["threads"], context=row["context"])
    library = same["family"] == LIBRARY
    for _, baseline in same[library | ((same["bits"] == 16) & (same["family"] == "nmforge"))].iterrows():
        against = "dense bf16, same decoder" if baseline["family"] == "nmforge" else str(baseline["kernel"])
        paired = float(baseline["us_of_2of4"])
        if paired != paired:
            yield missing(CLAIM, LLAMA7B, _where(row), f"no run alternates 2:4 INT4 with {against}")
            continue
        yield factor(CLAIM, LLAMA7B, float(baseline["us_per_token"]) / paired, _where(row), against, source)


REGISTRY.add(Claim("llama7b_throughput", CLAIM, ("scaling", "kernels"), entries, order=40))
