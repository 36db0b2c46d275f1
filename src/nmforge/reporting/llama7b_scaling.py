"""LLaMA-7B decode, time per token: from kernels measured at its shapes, and from the checked cycle model.

From kernels and cycles only the linear layers are counted: attention, norms, embedding and head are left out. A model
that was decoded as a whole (table `decode`) counts everything. `scope` says which.
Nothing is extrapolated from another shape. A kernel that was not measured at all three shapes has no row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, cast

from nmforge.core.formats import GemmShape, Pattern
from nmforge.core.lazy import pd
from nmforge.core.llama7b import BLOCKS, HIDDEN, SHAPES, VOCABULARY
from nmforge.core.registry import registry
from nmforge.fpga.boards.capacity import GROUP, EngineBuild, Workload
from nmforge.fpga.boards.table import board_table
from nmforge.fpga.model.cycles import engine_cycles
from nmforge.fpga.model.engine import Engine, Kind
from nmforge.reporting.query import (
    LLAMA7B_MODEL,
    WHOLE_MODEL,
    at,
    origin,
    pattern_name,
    platform_name,
    relative_error,
)
from nmforge.reporting.tables.scaling import COLUMNS

OURS_2OF4 = "2:4-int4"  # the candidate of table `decode` that is alternated with every other one
SCOPE = "linear layers only: attention, norms, embedding and head left out"

CycleModel = Callable[[GemmShape, Engine, Pattern], int]


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
    return BLOCKS * sum(float(by_shape[shape]) * count for shape, count in SHAPES.items())


def per_token_error(rows: pd.DataFrame) -> float:
    """Standard error of the sum of `median_us` over the layers; a shape's error counts for each of its layers."""
    errors = rows.assign(error=rows.apply(relative_error, axis=1) * rows["median_us"])
    by_shape = errors.groupby(["n", "k"])["error"].median()
    return BLOCKS * math.hypot(*(float(by_shape[shape]) * count for shape, count in SHAPES.items()))


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
            "us_error": per_token_error(rows),
            "tokens_per_s": 1e6 / microseconds,
            "bytes_per_token": per_token(rows, "weight_bytes"),
            "cache": "streamed",
            "source": origin(rows, here),
            "scope": SCOPE,
        }


def decode_rows(decode: pd.DataFrame, here: str | None) -> Iterator[dict[str, object]]:
    """One row per format and context of a LLaMA-7B that was decoded as a whole on this kind of machine."""
    whole = at(decode, model=LLAMA7B_MODEL)
    for _, rows in whole.groupby(["candidate", "context"]) if len(whole) else []:
        row = rows.iloc[0]  # a format in several groups counts as the first measured it
        candidate = row["candidate"]
        paired = at(whole, run_id=row["run_id"], context=row["context"], candidate=OURS_2OF4)
        pattern, bits = decoded_format(str(candidate))
        yield {
            "platform": platform_name(row["device"]),
            "design_id": design_name(pattern, bits),
            "context": int(row["context"]),
            "tokens_per_s": row["tokens_per_s"],
            "us_per_token": row["median_us"],
            "us_of_2of4": paired["median_us"].iloc[0] if len(paired) else None,  # alternated with this row
            "bytes_per_token": row["bytes_per_token"],
            "source": origin(rows, here),
            "device": row["device"],
            "kernel": candidate,
            "family": row["family"],
            "pattern": pattern,
            "bits": bits,
            "isa": row["isa"],
            "threads": row["threads"],
            "stage": "decode",
            "cache": "streamed",
            "scope": WHOLE_MODEL,
        }


def decoded_format(candidate: str) -> tuple[str, int]:
    """Pattern and bits of a candidate of the decode benchmark: `2:4-int4`, `dense-bf16`, `llamacpp-q4_0`."""
    name, _, number = candidate.partition("-")
    digits = "".join(c for c in number.split("_")[0] if c.isdigit())
    return (name if ":" in name else "dense"), int(digits)


def model_error_percent(rtl: pd.DataFrame) -> float:
    """Largest difference between the cycle model and the simulated cycles, in percent of the latter."""
    return float((100 * (rtl["model_cycles"] - rtl["cycles"]).abs() / rtl["cycles"]).max())


def routed_clock(fpga: pd.DataFrame, array: pd.Series) -> float:
    """Median post-route clock in MHz over the seeds of this engine and array; NaN where it was not routed itself.

    The clock of a device says nothing of the core inside it, which has other ports and no loader.
    """
    keys = ["engine", "window", "lanes", "rows", "cols"]
    fpga = fpga.reindex(columns=[*keys, "stage", "fmax_mhz"])
    same = (fpga[keys] == array[keys]).all(axis=1) & (fpga["stage"] == "route")
    return float(fpga.loc[same, "fmax_mhz"].median())


def fpga_rows(fpga: pd.DataFrame, group_size: int, cycles: CycleModel) -> Iterator[dict[str, object]]:
    """One row per array and pattern that was simulated; cycles from the model checked against that RTL.

    Without a post-route clock there is a cycle count and no time: a clock is never assumed.
    """
    if fpga.empty:
        return
    rtl = fpga[fpga["stage"] == "rtl"]
    for _, array in rtl.groupby(["engine", "rows", "cols"]):
        error = model_error_percent(array)
        for _, built in array.drop_duplicates(["window", "pattern"]).iterrows():
            yield _fpga_row(fpga, built, group_size, cycles, error)


def _fpga_row(
    fpga: pd.DataFrame, built: pd.Series, group_size: int, cycles: CycleModel, error: float
) -> dict[str, object]:
    """The row of one build and pattern; `built` is its simulated row."""
    rows, cols, pattern = int(built["rows"]), int(built["cols"]), pattern_name(built["pattern"])
    kind = cast(Kind, str(built["engine"]))
    engine = Engine(int(built["window"]), 4, rows, cols, group_size, int(built["lanes"]), kind)
    spec = Pattern.parse(str(built["pattern"]))
    total = BLOCKS * sum(cycles(GemmShape(1, n, k), engine, spec) * count for (n, k), count in SHAPES.items())
    clock = routed_clock(fpga, built)
    return {
        "platform": "FPGA",
        "design_id": design_name(pattern, 4),
        "context": 0,
        "tokens_per_s": clock * 1e6 / total,
        "us_per_token": total / clock,
        "cycles_per_token": float(total),
        "source": f"modelled ({_agreement(error)})",
        "pattern": pattern,
        "bits": 4,
        "engine": str(built["engine"]),
        "window": engine.window,
        "rows": rows,
        "cols": cols,
        "multipliers": engine.multipliers,
        "clock_mhz": clock,
        "stage": "matmul",
        "scope": SCOPE,
    }


def add_speedup(table: pd.DataFrame) -> pd.DataFrame:
    """Fill `speedup_vs_dense`: against dense weights of the same bits, family, stage and machine.

    Kernels compare times. Models decoded as a whole compare times over that of the 2:4 INT4 that was alternated with
    them, since the machine's speed differs between runs. Arrays compare cycles times multipliers, the gain at equal
    clock and equal number of multipliers: a build with more of them is no gain. NaN without a dense partner.
    """
    work = table["cycles_per_token"].astype(float) * table["multipliers"].astype(float)
    time = table["us_per_token"].astype(float)
    paired = time / table["us_of_2of4"].astype(float)
    cost = time.where(table["scope"] != WHOLE_MODEL, paired).where(table["platform"] != "FPGA", work)
    keys = table[["platform", "device", "family", "bits", "threads", "stage", "engine", "context"]]
    group = keys.apply(lambda row: "|".join(map(str, row)), axis=1)
    dense = cost[table["pattern"] == "dense"].groupby(group).min()
    return table.assign(speedup_vs_dense=group.map(dense).astype(float) / cost)


def scaling_table(
    kernels: pd.DataFrame,
    fpga: pd.DataFrame,
    decode: pd.DataFrame | None = None,
    *,
    here: str | None = None,
    group_size: int = 64,
    cycles: CycleModel = engine_cycles,
) -> pd.DataFrame:
    """LLaMA-7B decode per token for every measured kernel and every simulated array.

    Args:
        kernels: the `kernels` table; only M = 1, streamed rows at LLaMA-7B's shapes are used.
        decode: the `decode` table; where it holds a whole LLaMA-7B, that replaces the sums of our CPU kernels.
        fpga: the `fpga` table; its `rtl` rows name the arrays and give the error of the cycle model.
        here: host name of this machine; rows taken on it read `measured here`.
        group_size: weights per scale, as the cycle model needs it.
        cycles: closed-form cycle count of one GEMM.

    Returns:
        One row per platform, kernel and format, columns as in table `scaling` of the registry. `context` is 0 where no
        attention is counted. `bytes_per_token` is the weight traffic of the kernel as measured, in bytes.
    """
    whole = [] if decode is None else list(decode_rows(decode, here))
    summed = [row for row in kernel_rows(kernels, here) if not whole or row["platform"] != "CPU"]
    rows = [*whole, *summed, *fpga_rows(fpga, group_size, cycles)]
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    return add_speedup(table) if len(table) else table


def _agreement(percent: float) -> str:
    """How far the cycle model is from the RTL runs of the same table."""
    return "cycle model equal to every RTL run here" if percent == 0 else f"cycle model within {percent:.2g} % of RTL"


def llama_on_boards(fpga: pd.DataFrame) -> pd.DataFrame:
    """LLaMA-7B decode and prefill modelled on every board, with the engines of the `fpga` table."""

    def cycles(shape: GemmShape, pattern: Pattern, build: EngineBuild) -> int:
        engine = Engine(build.window, 4, build.rows, build.cols, GROUP, build.lanes, build.engine)
        return engine_cycles(shape, engine, pattern)

    return board_table(fpga, cycles, registry("board"), Workload("LLaMA-7B", SHAPES, BLOCKS, HIDDEN, VOCABULARY))
