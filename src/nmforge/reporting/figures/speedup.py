"""Kernel speed on a 4096x4096 layer, against the faster of torch's dense fp32 and 16-bit matmuls."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nmforge.reporting.figures.style import (
    DOUBLE,
    INK,
    QUIET,
    blank,
    colour,
    foot,
    foot_height,
    measured,
    rank,
    series_name,
    tidy,
    unmeasured,
    write_value,
)
from nmforge.reporting.query import FULL_PRECISION, at, fastest, gpu_or_cpu, library_name, matching, most_threads

TABLES = ("kernels",)
COLUMNS = ["platform", "m", "label", "series", "stage", "speedup", "median_us", "kernel", "baseline"]
CLAIMS = (1.29, 1.71)  # end to end and matmul, 2:4 over dense on a GPU
FAMILIES = {"ours": 1, "library": 0, "paper": 2}


def data(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per bar: streamed, 4096x4096, most threads, the fastest instruction set of each kernel.

    `speedup` is the baseline's time over the kernel's time within the same run.
    """
    kernels = at(tables["kernels"], n=4096, k=4096, cache="streamed")
    kernels = kernels[kernels["family"].isin(list(FAMILIES))] if len(kernels) else kernels
    parts = [part for p in ("CPU", "GPU") for part in _platform(most_threads(gpu_or_cpu(kernels, p)), p)]
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(parts, ignore_index=True)


def _platform(kernels: pd.DataFrame, platform: str) -> list[pd.DataFrame]:
    """Bars of each M; a run without a dense float row has no baseline and gives no bars."""
    parts: list[pd.DataFrame] = []
    if kernels.empty:
        return parts
    for _, run in kernels.groupby(["m", "device", "run_id"], sort=True):
        dense = matching(run, FULL_PRECISION)
        if dense.empty:
            continue
        base = fastest(dense)
        bars = run.assign(
            platform=platform,
            baseline=base["kernel"],
            speedup=float(base["median_us"]) / run["median_us"],
            series=[series_name(p, b) for p, b in zip(run["pattern"], run["bits"], strict=True)],
            family_rank=run["family"].map(FAMILIES),
        )
        bars["series_rank"] = bars["series"].map(rank)
        bars["label"] = [_label(row) for _, row in bars.iterrows()]
        parts.append(bars)
    if not parts:
        return []
    every = pd.concat(parts).sort_values("median_us", kind="stable")
    best = every.drop_duplicates(["m", "device", "family", "series", "stage", "label"])
    order = ["m", "family_rank", "series_rank", "stage"]
    best = best.sort_values(order, ascending=[True, True, True, False], kind="stable")
    return [best.drop(columns=["family_rank", "series_rank"])]


def _label(row: pd.Series) -> str:
    """Name of a bar: who, which format, and which part of the work where the path is unfused."""
    if row["family"] == "ours":
        return f"ours, {row['series']}"
    if row["family"] == "paper":
        part = "matmul" if row["stage"] == "matmul" else "end to end"
        return f"unfused {row['series']}, {part}"
    return f"{library_name(row['kernel'])}, {row['series']}"


def plot(rows: pd.DataFrame) -> Figure:
    """One panel per M and platform; unfused paths with their dequantization are hatched."""
    if rows.empty:
        return unmeasured(DOUBLE, "CPU: not measured here\nGPU: not measured here")
    platforms = [p for p in ("CPU", "GPU") if p in set(rows["platform"])]
    labels = {p: list(dict.fromkeys(rows[rows["platform"] == p]["label"])) for p in platforms}
    text = _foot(rows, platforms)
    under, head, gap = foot_height(DOUBLE, text), 0.3, 0.62
    heights = [0.175 * len(labels[p]) for p in platforms]
    total = sum(heights) + gap * len(platforms) + head + under - 0.2
    figure = blank(DOUBLE, total)
    top = total - head
    for platform, height in zip(platforms, heights, strict=True):
        here = rows[rows["platform"] == platform]
        sizes = sorted(set(here["m"]))
        for i, m in enumerate(sizes):
            width = 0.735 / len(sizes)
            box = (0.255 + i * width, (top - height) / total, width - 0.02, height / total)
            axes = figure.add_axes(box)
            _panel(axes, here[here["m"] == m], labels[platform], first=i == 0)
            axes.set_title(f"{platform}, M = {m}")
            if i == len(sizes) // 2:
                axes.set_xlabel("speed-up over the fastest dense float matmul", labelpad=2)
        top -= height + gap
    foot(figure, text, 0.05 / total)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, labels: list[str], *, first: bool) -> None:
    y = [labels.index(label) for label in rows["label"]]
    bars = axes.barh(y, rows["speedup"], height=0.68, color=[colour(s) for s in rows["series"]])
    for bar, stage in zip(bars, rows["stage"], strict=True):
        if stage == "end_to_end":
            bar.set(hatch="////", edgecolor="white", linewidth=0)
    for i, value in zip(y, rows["speedup"], strict=True):
        write_value(axes, f"{value:.2f}", value, i)
    axes.axvline(1, color=INK, linewidth=0.6)
    for claim in CLAIMS:
        axes.axvline(claim, color=INK, linewidth=0.7, linestyle=(0, (4, 2.5)), zorder=3)
    axes.set_xlim(0, max(*CLAIMS, rows["speedup"].max()) * 1.28)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_yticks(range(len(labels)), labels if first else [""] * len(labels))
    tidy(axes)
    axes.spines["left"].set_color(QUIET)


def _foot(rows: pd.DataFrame, platforms: list[str]) -> str:
    cpu = rows[rows["platform"] == "CPU"]
    threads = f", {cpu['threads'].max()} CPU threads" if len(cpu) else ""
    absent = "" if "GPU" in platforms else " GPU: not measured here."
    return (
        f"N = K = 4096, weights streamed from memory{threads}. Unfused: the paper's path, "
        "end to end = dequantize + matmul. Dashed: claimed for 2:4 over dense on a GPU (arXiv 2512.24713), "
        "end to end 1.29x, matmul 1.71x. "
        f"{measured(rows)}.{absent}"
    )
