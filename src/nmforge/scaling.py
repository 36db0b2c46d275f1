"""LLaMA-7B decode, time per token: from kernels measured at its shapes, and from the checked cycle model.

Only the linear layers are counted: attention, norms, embedding and head are left out, and every row says so.
Nothing is extrapolated from another shape. A kernel that was not measured at all three shapes has no row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from nmforge.fpga.cycle_model import gemm_cycles
from nmforge.selection import origin, pattern_name, platform_name
from nmforge.spec import GemmShape, Pattern

HIDDEN, INTERMEDIATE, LAYERS = 4096, 11008, 32

# (N, K) -> how many linear layers of one block have that shape: q k v o, gate and up, down.
SHAPES: dict[tuple[int, int], int] = {
    (HIDDEN, HIDDEN): 4,
    (INTERMEDIATE, HIDDEN): 2,
    (HIDDEN, INTERMEDIATE): 1,
}
WEIGHTS = LAYERS * sum(n * k * count for (n, k), count in SHAPES.items())  # 6,476,005,376

SCOPE = "linear layers only: attention, norms, embedding and head left out"
COLUMNS = [
    "platform", "design_id", "context", "tokens_per_s", "us_per_token", "cycles_per_token", "bytes_per_token",
    "speedup_vs_dense", "source", "device", "kernel", "family", "pattern", "bits", "isa", "threads", "stage",
    "cache", "engine", "rows", "cols", "multipliers", "clock_mhz", "scope",
]  # fmt: skip

CycleModel = Callable[[GemmShape, Pattern, int, int, int], int]


def design_name(pattern: str, bits: int) -> str:
    """`dense-bf16`, `dense-fp32`, `dense-int4`, `2of4-int4`: the format, without a pruning method."""
    number = {16: "bf16", 32: "fp32"}.get(bits, f"int{bits}")
    return f"{pattern_name(pattern).replace(':', 'of')}-{number}"


def per_token(rows: pd.DataFrame, column: str) -> float | None:
    """Sum of `column` over the 7 x 32 linear layers; None unless all three shapes were measured.

    A shape measured in several runs counts with the median of its runs.
    """
    by_shape = rows.groupby(["n", "k"])[column].median()
    if any(shape not in by_shape.index for shape in SHAPES):
        return None
    return LAYERS * sum(float(by_shape[shape]) * count for shape, count in SHAPES.items())


def kernel_rows(kernels: pd.DataFrame, here: str | None) -> Iterator[dict[str, object]]:
    """One row per kernel, device and thread count that was measured (M = 1, streamed) at all shapes."""
    if kernels.empty:
        return
    shapes = pd.Series(zip(kernels["n"], kernels["k"], strict=True), index=kernels.index)
    decode = kernels[(kernels["m"] == 1) & (kernels["cache"] == "streamed") & shapes.isin(list(SHAPES))]
    keys = ["device", "kernel", "family", "pattern", "bits", "isa", "threads", "stage"]
    for values, rows in decode.groupby(keys, dropna=False):
        microseconds = per_token(rows, "median_us")
        if microseconds is None:
            continue
        key: dict[str, Any] = dict(zip(keys, values, strict=True))
        yield {
            **key,
            "platform": platform_name(key["device"]),
            "design_id": design_name(str(key["pattern"]), int(key["bits"])),
            "pattern": pattern_name(key["pattern"]),
            "context": 0,
            "us_per_token": microseconds,
            "tokens_per_s": 1e6 / microseconds,
            "bytes_per_token": per_token(rows, "weight_bytes"),
            "cache": "streamed",
            "source": origin(rows, here),
            "scope": SCOPE,
        }


def model_error_percent(rtl: pd.DataFrame) -> float:
    """Largest difference between the cycle model and the simulated cycles, in percent of the latter."""
    return float((100 * (rtl["model_cycles"] - rtl["cycles"]).abs() / rtl["cycles"]).max())


def routed_clock(fpga: pd.DataFrame, engine: str, pattern: str, rows: int, cols: int) -> float:
    """Slowest post-route clock in MHz of this very array over its seeds; NaN where none was routed."""
    same = (fpga["engine"] == engine) & (fpga["rows"] == rows) & (fpga["cols"] == cols)
    routed = fpga[same & (fpga["stage"] == "route") & (fpga["pattern"].map(pattern_name) == pattern)]
    return float(routed["fmax_mhz"].min()) if len(routed) else float("nan")


def fpga_rows(fpga: pd.DataFrame, group_size: int, cycles: CycleModel) -> Iterator[dict[str, object]]:
    """One row per array and pattern that was simulated; cycles from the model checked against that RTL.

    Without a post-route clock there is a cycle count and no time: a clock is never assumed.
    """
    if fpga.empty:
        return
    rtl = fpga[fpga["stage"] == "rtl"]
    for _, array in rtl.groupby(["engine", "rows", "cols"]):
        first = array.iloc[0]
        engine, rows, cols = str(first["engine"]), int(first["rows"]), int(first["cols"])
        error = model_error_percent(array)
        for built in sorted(set(array["pattern"])):
            pattern, spec = pattern_name(built), Pattern.parse(built)
            total = LAYERS * sum(
                cycles(GemmShape(1, n, k), spec, rows, cols, group_size) * count for (n, k), count in SHAPES.items()
            )
            clock = routed_clock(fpga, engine, pattern, rows, cols)
            yield {
                "platform": "FPGA",
                "design_id": design_name(pattern, 4),
                "context": 0,
                "tokens_per_s": clock * 1e6 / total,
                "us_per_token": total / clock,
                "cycles_per_token": float(total),
                "source": f"modelled ({_agreement(error)})",
                "pattern": pattern,
                "bits": 4,
                "engine": engine,
                "rows": rows,
                "cols": cols,
                "multipliers": rows * cols * spec.keep,
                "clock_mhz": clock,
                "stage": "matmul",
                "scope": SCOPE,
            }


def add_speedup(table: pd.DataFrame) -> pd.DataFrame:
    """Fill `speedup_vs_dense`: against dense weights of the same bits, family, stage and machine.

    Kernels compare times. Arrays compare cycles times multipliers, the gain at equal clock and equal number
    of multipliers: a PE of another pattern has another number of them, and buying more is no gain.
    NaN without a dense partner.
    """
    work = table["cycles_per_token"].astype(float) * table["multipliers"].astype(float)
    cost = table["us_per_token"].astype(float).where(table["platform"] != "FPGA", work)
    keys = table[["platform", "device", "family", "bits", "threads", "stage", "engine"]]
    group = keys.apply(lambda row: "|".join(map(str, row)), axis=1)
    dense = cost[table["pattern"] == "dense"].groupby(group).min()
    return table.assign(speedup_vs_dense=group.map(dense).astype(float) / cost)


def scaling_table(
    kernels: pd.DataFrame,
    fpga: pd.DataFrame,
    *,
    here: str | None = None,
    group_size: int = 128,
    cycles: CycleModel = gemm_cycles,
) -> pd.DataFrame:
    """LLaMA-7B decode per token for every measured kernel and every simulated array.

    Args:
        kernels: the `kernels` table; only M = 1, streamed rows at LLaMA-7B's shapes are used.
        fpga: the `fpga` table; its `rtl` rows name the arrays and give the error of the cycle model.
        here: host name of this machine; rows taken on it read `measured here`.
        group_size: weights per scale, as the cycle model needs it.
        cycles: closed-form cycle count of one GEMM.

    Returns:
        One row per platform, kernel and format, in `COLUMNS`. `context` is 0: no attention is counted.
        `bytes_per_token` is the weight traffic of the kernel as measured, in bytes.
    """
    rows = [*kernel_rows(kernels, here), *fpga_rows(fpga, group_size, cycles)]
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    return add_speedup(table) if len(table) else table


def _agreement(percent: float) -> str:
    """How far the cycle model is from the RTL runs of the same table."""
    return "cycle model equal to every RTL run here" if percent == 0 else f"cycle model within {percent:.2g} % of RTL"
