"""Kernel speed on a 4096x4096 layer, against the fastest dense fp32 or 16-bit matmul of a library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmforge.core.lazy import pd
from nmforge.reporting.figures.registry import REGISTRY, Drawing
from nmforge.reporting.paper import END_TO_END, MATMUL, PAPER
from nmforge.reporting.query import (
    LIBRARY,
    LIBRARY_FLOAT,
    Tables,
    at,
    fastest,
    gpu_or_cpu,
    library_name,
    matching,
    most_threads,
)
from nmforge.reporting.style import (
    DOUBLE,
    INK,
    QUIET,
    bar_rows,
    blank,
    colours,
    foot,
    foot_height,
    measured,
    rank,
    series_names,
    tidy,
    unmeasured,
    write_value,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ["platform", "m", "label", "series", "stage", "speedup", "median_us", "kernel", "baseline"]
FAMILIES = {LIBRARY: 0, "nmforge": 1, "baseline": 2}
PLATFORMS = ("CPU", "GPU")


def data(tables: Tables) -> pd.DataFrame:
    """One row per bar: streamed, 4096x4096, most threads, the fastest instruction set of each kernel.

    `speedup` is the baseline's time over the kernel's time within the same run.
    """
    kernels = at(tables["kernels"], n=4096, k=4096, cache="streamed")
    kernels = kernels[kernels["family"].isin(list(FAMILIES))] if len(kernels) else kernels
    bars = [_bars(most_threads(gpu_or_cpu(kernels, platform)), platform) for platform in PLATFORMS]
    measured_bars = [part for part in bars if len(part)]
    return pd.concat(measured_bars, ignore_index=True) if measured_bars else pd.DataFrame(columns=COLUMNS)


def _bars(kernels: pd.DataFrame, platform: str) -> pd.DataFrame:
    """Bars of a platform in the order they are drawn; of several runs and instruction sets the fastest counts."""
    if kernels.empty:
        return kernels
    kernels = kernels.assign(platform=platform)
    runs = [_against_baseline(run) for _, run in kernels.groupby(["m", "device", "run_id"], sort=True)]
    runs = [run for run in runs if len(run)]
    if not runs:
        return pd.DataFrame()
    every = pd.concat(runs).sort_values("median_us", kind="stable")
    best = every.drop_duplicates(["m", "device", "family", "series", "stage", "label"])
    order = ["m", "family_rank", "series_rank", "stage"]
    best = best.sort_values(order, ascending=[True, True, True, False], kind="stable")
    return best.drop(columns=["family_rank", "series_rank"])


def _against_baseline(run: pd.DataFrame) -> pd.DataFrame:
    """Speed-ups within one run; a run without a dense float row of a library has no baseline and no rows."""
    dense = matching(run, LIBRARY_FLOAT)
    if dense.empty:
        return dense
    baseline = fastest(dense)
    run = run.assign(
        baseline=baseline["kernel"],
        speedup=float(baseline["median_us"]) / run["median_us"],
        series=series_names(run),
        family_rank=run["family"].map(FAMILIES),
    )
    run["series_rank"] = run["series"].map(rank)
    run["label"] = [_label(row) for _, row in run.iterrows()]
    return run


def _label(row: pd.Series) -> str:
    """Name of a bar: who, which format, and which part of the work where the path is unfused."""
    if row["family"] == "nmforge":
        return f"ours, {row['series']}"
    if row["family"] == "baseline":
        part = "matmul" if row["stage"] == "matmul" else "end to end"
        return f"unfused {row['series']}, {part}"
    return f"{library_name(row['kernel'])}, {row['series']}"


def plot(rows: pd.DataFrame) -> Figure:
    """One panel per M and platform; unfused paths with their dequantization are hatched."""
    if rows.empty:
        return unmeasured(DOUBLE, "CPU: not measured here\nGPU: not measured here")
    platforms = [p for p in PLATFORMS if p in set(rows["platform"])]
    labels = {p: list(dict.fromkeys(rows[rows["platform"] == p]["label"])) for p in platforms}
    text = _foot(rows, platforms)
    under, head, gap = foot_height(DOUBLE, text), 0.3, 0.62
    heights = [0.175 * len(labels[p]) for p in platforms]
    total = sum(heights) + gap * len(platforms) + head + under - 0.2
    figure = blank(DOUBLE, total)
    top = total - head
    for platform, height in zip(platforms, heights, strict=True):
        shown = rows[rows["platform"] == platform]
        _platform(figure, shown, labels[platform], (top - height) / total, height / total)
        top -= height + gap
    foot(figure, text, 0.05 / total)
    return figure


def _platform(figure: Figure, rows: pd.DataFrame, labels: list[str], bottom: float, height: float) -> None:
    """The panels of a platform, one for each M; bottom and height are shares of the figure's height."""
    sizes = sorted(set(rows["m"]))
    for i, m in enumerate(sizes):
        width = 0.735 / len(sizes)
        axes = figure.add_axes((0.255 + i * width, bottom, width - 0.02, height))
        _panel(axes, rows[rows["m"] == m], labels, first=i == 0)
        axes.set_title(f"{rows['platform'].iloc[0]}, M = {m}")
        if i == len(sizes) // 2:
            axes.set_xlabel("speed-up over the fastest dense float matmul", labelpad=2)


def _panel(axes: Axes, rows: pd.DataFrame, labels: list[str], *, first: bool) -> None:
    """Bars of one M; a label without a bar keeps its row empty."""
    y = [labels.index(label) for label in rows["label"]]
    bars = axes.barh(y, rows["speedup"], height=0.68, color=colours(rows["series"]))
    for bar, stage in zip(bars, rows["stage"], strict=True):
        if stage == "end_to_end":
            bar.set(hatch="////", edgecolor="white", linewidth=0)
    marks = {labels.index(label): claimed for label, claimed in _claim_marks(rows)}
    limit = max([1.0, rows["speedup"].max(), *marks.values()]) * 1.28
    for i, value in zip(y, rows["speedup"], strict=True):
        mark = marks.get(i, 0.0)
        write_value(axes, f"{value:.2f}", mark if 0 < mark - value < 0.25 * limit else value, i)
    axes.axvline(1, color=INK, linewidth=0.6)
    for i, claimed in marks.items():
        axes.vlines(claimed, i - 0.46, i + 0.46, color=INK, linewidth=1.2, zorder=6)
    axes.set_xlim(0, limit)
    bar_rows(axes, labels, named=first)
    tidy(axes)
    axes.spines["left"].set_color(QUIET)


def _claim_marks(rows: pd.DataFrame) -> list[tuple[str, float]]:
    """(label of the bar, speed-up that the claim asks of it) of each 2:4 bar of ours or of the unfused path.

    The claim is a factor over the dense INT4 bar of the same path and stage: without that bar there is no mark.
    End to end counts the fused kernels and the unfused path with its dequantization.
    """
    marks = []
    for row in rows[(rows["series"] == "2:4 INT4") & (rows["family"] != LIBRARY)].to_dict("records"):
        same = (rows["family"] == row["family"]) & (rows["stage"] == row["stage"]) & (rows["device"] == row["device"])
        dense = rows[same & (rows["series"] == "dense INT4")]
        if len(dense):
            claim = MATMUL if row["family"] == "baseline" and row["stage"] == "matmul" else END_TO_END
            marks.append((str(row["label"]), claim * float(dense["speedup"].iloc[0])))
    return marks


def _foot(rows: pd.DataFrame, platforms: list[str]) -> str:
    """What was measured, what the marks mean, and what was not measured."""
    cpu = rows[rows["platform"] == "CPU"]
    threads = f", {cpu['threads'].max()} CPU threads" if len(cpu) else ""
    absent = "" if "GPU" in platforms else " GPU: not measured here."
    return (
        f"N = K = 4096, weights streamed from memory{threads}. Unfused: the paper's path, "
        f"end to end = dequantize + matmul. Tick: the speed a 2:4 bar needs for the claimed factor over dense INT4 "
        f"of the same path ({PAPER}, a GPU), end to end {END_TO_END}x, matmul {MATMUL}x. "
        f"{measured(rows)}.{absent}"
    )


SUMMARY = "kernels against dense matmuls of libraries, matmul alone and end to end"
CAPTION = (
    "Speed of each kernel over the fastest dense float matmul of a library in the same run. What sparsity itself "
    "gains is the step from a dense INT4 bar to the 2:4 bar of the same path, not the length of the 2:4 bar."
)
REGISTRY.add(Drawing("speedup", SUMMARY, ("kernels",), data, plot, order=20, caption=CAPTION))
