"""The claims of speed on 4096x4096: matmul alone, and dequantize + matmul; and our INT3 rival."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from nmforge.reporting.claims.entry import END_TO_END, MATMUL, Entry, Tables, factor, missing, table_of
from nmforge.reporting.query import (
    FULL_PRECISION,
    OURS_2OF4,
    OURS_INT3,
    OURS_INT4,
    PEER_INT4,
    Query,
    at,
    fastest,
    gpu_or_cpu,
    matching,
    most_threads,
    on_platform,
    origin,
    pair,
    platform_name,
)

SPARSER_BAR = 1.6  # half the weights of 2:4 again, the same share of index bits and scales
THREADS_BAR = 0.8  # of a thread more for each thread added
FUSED_CLAIMS = [  # our kernels need no separate dequantization, so their matmul is their end-to-end time
    (MATMUL, OURS_2OF4, OURS_INT4, "ours 2:4 INT4", "ours dense INT4"),
    (MATMUL, OURS_2OF4, PEER_INT4, "ours 2:4 INT4", "the fastest library's dense INT4"),
    (MATMUL, OURS_2OF4, FULL_PRECISION, "ours 2:4 INT4", "the fastest library's dense floats"),
]


def matmul_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Matmul only: the paper's unfused path on GPU and CPU, then our kernels on the CPU, and on a GPU if one ran."""
    yield from _paper_path(tables, here, "1.71x faster matmul", MATMUL, "matmul")
    for platform in _measured(tables):
        yield from _ratios(tables, here, "1.71x faster matmul", FUSED_CLAIMS, platform)


def _measured(tables: Tables) -> list[str]:
    """CPU, and GPU where one was measured."""
    return ["CPU", *(["GPU"] if len(on_platform(table_of(tables, "kernels"), "GPU")) else [])]


def end_to_end_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Dequantize + matmul: the paper's path, then our fused kernel against that path with dense weights."""
    claim = "1.29x lower end-to-end latency"
    yield from _paper_path(tables, here, claim, END_TO_END, "end_to_end")
    unfused = Query("paper", "dense", (4,), "end_to_end")
    fused = (END_TO_END, OURS_2OF4, unfused, "ours 2:4 INT4, fused", "dense INT4, dequantize + matmul")
    for platform in _measured(tables):
        yield from _ratios(tables, here, claim, [fused], platform)


def _paper_path(tables: Tables, here: str | None, claim: str, claimed: float, stage: str) -> Iterator[Entry]:
    """The paper's unfused path, 2:4 against dense weights, at the largest M measured, per platform."""
    kernels = at(table_of(tables, "kernels"), n=4096, k=4096)
    part = "matmul only" if stage == "matmul" else "dequantize + matmul"
    for platform in ("GPU", "CPU"):
        rows = most_threads(gpu_or_cpu(kernels, platform))
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
                claim,
                claimed,
                best.ratio,
                f"{where}, {_shape(best.row)}",
                "the same path, dense weights",
                origin([best.row, best.baseline], here),
            )


def _shape(row: pd.Series) -> str:
    if platform_name(row["device"]) == "GPU":
        return f"M={row['m']}, {row['cache']}"
    return f"M={row['m']}, {row['cache']}, {row['threads']} thread{'s' if row['threads'] != 1 else ''}"


def _ratios(
    tables: Tables, here: str | None, claim: str, questions: list[tuple[float, Query, Query, str, str]],
    platform: str = "CPU",
) -> Iterator[Entry]:  # fmt: skip
    """Our kernels at M = 1 and at the largest M, streamed, against each named baseline."""
    kernels = at(gpu_or_cpu(table_of(tables, "kernels"), platform), n=4096, k=4096, cache="streamed")
    kernels = most_threads(kernels)
    sizes = sorted({1, int(kernels["m"].max())}) if len(kernels) else [1]
    for claimed, query, baseline, name, against in questions:
        for m in sizes:
            found = pair(at(kernels, m=m), query, baseline)
            if found is None:
                reason = f"no run holds both {name} and {against} at 4096x4096"
                yield missing(claim, f"{claimed:.3g}x", f"{platform}, {name}, M={m}", reason)
                continue
            exact = f"{against} ({found.baseline['kernel']})"
            where = f"{platform}, {name}, {_shape(found.row)}"
            yield factor(claim, claimed, found.ratio, where, exact, origin([found.row, found.baseline], here))


def rival_time_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Is our 2:4 INT4 kernel at least as fast as our INT3 kernel, which reads about as many bytes?"""
    claim = "2:4 INT4 as fast as its storage rival, dense INT3"
    question = (1.0, OURS_2OF4, OURS_INT3, "ours 2:4 INT4", "ours dense INT3")
    for platform in _measured(tables):
        yield from _ratios(tables, here, claim, [question], platform)


def sparser_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Does a quarter of the weights stream faster than a half? One token, both kernels of one run."""
    claim = "a quarter of the weights streams faster than half"
    asked = [("CPU", "1:4"), ("CPU", "2:8"), *(("GPU", "1:4") for platform in _measured(tables) if platform == "GPU")]
    for platform, pattern in asked:
        kernels = at(gpu_or_cpu(table_of(tables, "kernels"), platform), n=4096, k=4096, cache="streamed", m=1)
        name = f"{platform}, ours {pattern} INT4"
        found = pair(most_threads(kernels), Query("ours", pattern, (4,)), OURS_2OF4)
        if found is None:
            reason = f"no run holds both ours {pattern} INT4 and ours 2:4 INT4"
            yield missing(claim, f"{SPARSER_BAR:g}x", f"{name}, M=1, streamed", reason)
            continue
        source = origin([found.row, found.baseline], here)
        yield factor(claim, SPARSER_BAR, found.ratio, f"{name}, {_shape(found.row)}", "ours 2:4 INT4", source)


def thread_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Is a product that the multipliers bound, the largest M in cache, faster by every thread added?"""
    claim = "every thread counts where multipliers are the limit"
    kernels = at(on_platform(table_of(tables, "kernels"), "CPU"), n=4096, k=4096, cache="resident")
    ours = matching(kernels, OURS_2OF4)
    rows = ours[ours["m"] == ours["m"].max()] if len(ours) else ours
    together = [run for _, run in rows.groupby(["run_id", "device"])] if len(rows) else []
    pairs = [(fastest(at(run, threads=1)), fastest(most_threads(run))) for run in together if {1} < set(run["threads"])]
    if not pairs:
        reason = "no run holds ours 2:4 INT4 with one thread and with several (kernels.threads)"
        yield missing(claim, f"our bar: {THREADS_BAR:.0%} of each thread added", "CPU, ours 2:4 INT4", reason)
        return
    pairs.sort(key=lambda two: float(two[0]["median_us"] / two[1]["median_us"]))
    one, most = pairs[(len(pairs) - 1) // 2]
    bar = 1 + THREADS_BAR * (int(most["threads"]) - 1)
    ratio = float(one["median_us"]) / float(most["median_us"])
    yield factor(claim, bar, ratio, f"CPU, ours 2:4 INT4, {_shape(most)}", "one thread", origin([one, most], here))
