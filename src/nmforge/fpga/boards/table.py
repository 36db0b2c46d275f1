"""The `boards` table: what the model says of every board, case and format, and what others published."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from nmforge.fpga.boards.boards import Board
from nmforge.fpga.boards.capacity import SHARE, Format, Workload, clock_of, fits, synthesized
from nmforge.fpga.boards.throughput import (
    CASES,
    FORMATS,
    BuildCycles,
    Case,
    Schedule,
    capacity_reason,
    fastest_schedule,
)

PLATFORM = "FPGA board"  # not `FPGA`: those rows are cycles of one array that was simulated
SCOPE = "linear layers and the traffic of the KV cache; attention arithmetic, norms, embedding and head take no time"
COLUMNS = [
    "platform", "board", "device", "phase", "m", "context", "design_id", "pattern", "bits", "tokens_per_s",
    "us_per_token", "cycles_per_token", "bytes_per_token", "bandwidth_tokens_per_s", "speedup_vs_dense", "bound",
    "reason", "name", "source", "engine", "window", "lanes", "rows", "cols", "arrays", "multipliers", "clock_mhz",
    "clock_source", "memory", "bandwidth_gb_s", "efficiency", "share", "note", "stage", "scope",
]  # fmt: skip

Row = dict[str, object]


def board_rows(fpga: pd.DataFrame, cycles: BuildCycles, boards: Iterable[Board], workload: Workload) -> list[Row]:
    """One row per board, case and format, in `COLUMNS`; times are of the fastest grid of engines that fits.

    Args:
        fpga: the `fpga` table; `synthesis` rows give engines and their resources, `route` rows clocks.
        cycles: cycles of one GEMM on one build; may raise NmforgeError where the build cannot run the pattern.
        boards: the boards, in the order of the table.
        workload: the model, for example LLaMA-7B.

    Returns:
        Rows with `source` starting `modelled (`. Where the model does not fit the memory, or no engine with a clock
        was synthesized, the values are NaN and `reason` says so. `speedup_vs_dense` is against dense INT4 of the same
        board and case.
    """
    rows: list[Row] = []
    for board in boards:
        candidates = fits(fpga, board)
        for case in CASES:
            group: list[Row] = []
            for layout in FORMATS:
                reason = capacity_reason(case, layout, workload, board)
                best = None if reason else fastest_schedule(case, layout, workload, board, candidates, cycles)
                if best is None:
                    answer = _no_result(reason or _unsupported_reason(layout, board, fpga))
                else:
                    answer = _result(case, best, board)
                group.append(_described(board, case, layout) | answer)
            rows += _with_speedup(group)
    return rows


def _unsupported_reason(layout: Format, board: Board, fpga: pd.DataFrame) -> str:
    """Why no engine answers for a format that the memory holds."""
    able = [build for build in synthesized(fpga, board.target) if build.runs(layout)]
    clocked = [build for build in able if not math.isnan(clock_of(build, board, fpga))]
    if not clocked:
        return f"no {board.target} engine that runs {layout} has resource counts and a clock"
    if not any(build.copies(board) for build in clocked):
        least = min(build.lut for build in clocked)
        return f"no engine that runs {layout} fits {SHARE:.0%} of {board.name}: the smallest takes {least:,} LUTs"
    return f"no engine that fits {board.name} runs {layout} without stalls or holds its activations"


def _described(board: Board, case: Case, layout: Format) -> Row:
    """The columns that say what was asked."""
    return {
        "platform": PLATFORM, "board": board.name, "device": board.part, "phase": case.phase, "m": case.m,
        "context": case.context, "design_id": f"{layout.pattern.label.replace(':', 'of')}-int{layout.bits}",
        "pattern": layout.pattern.label, "bits": layout.bits, "memory": board.memory,
        "bandwidth_gb_s": board.bandwidth.value / 1e9, "efficiency": board.efficiency.value,
        "note": board.note, "stage": "matmul", "scope": SCOPE,
    }  # fmt: skip


def _no_result(reason: str) -> Row:
    """The answer where there is none."""
    return {"tokens_per_s": math.nan, "reason": reason, "source": "modelled (no value)"}


def _result(case: Case, schedule: Schedule, board: Board) -> Row:
    """The columns that answer it, per token."""
    fit, build = schedule.fit, schedule.fit.build
    assumed = "assumed" if board.clock_mhz is not None else "routed"
    source = (
        f"modelled ({schedule.arrays} x {build.engine} {build.rows}x{build.cols} in {100 * SHARE:.0f} % of the chip, "
        f"as synthesized, {fit.clock_mhz:g} MHz {assumed}, {100 * board.efficiency.value:.3g} % of "
        f"{board.bandwidth.value / 1e9:.4g} GB/s{'; ' if board.note else ''}{board.note})"
    )
    return {
        "tokens_per_s": case.m / schedule.seconds, "us_per_token": 1e6 * schedule.seconds / case.m,
        "cycles_per_token": schedule.cycles / case.m, "bytes_per_token": schedule.bytes / case.m,
        "bandwidth_tokens_per_s": case.m / schedule.bandwidth_s, "bound": schedule.bound, "source": source,
        "engine": build.engine, "window": build.window, "lanes": build.lanes, "rows": build.rows, "cols": build.cols,
        "arrays": schedule.arrays, "multipliers": schedule.arrays * build.multipliers, "clock_mhz": fit.clock_mhz,
        "clock_source": assumed, "share": SHARE,
    }  # fmt: skip


def _with_speedup(rows: list[Row]) -> list[Row]:
    """`speedup_vs_dense` against the dense INT4 row among `rows`, which all answer one case on one board."""
    dense = next(row for row in rows if (row["pattern"], row["bits"]) == ("dense", 4))["tokens_per_s"]
    return [{**row, "speedup_vs_dense": _number(row["tokens_per_s"]) / _number(dense)} for row in rows]


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def published_rows(boards: Iterable[Board]) -> list[Row]:
    """One row per published design: its tokens/s in decode, `source` starting `published (`."""
    return [
        {
            "platform": PLATFORM, "board": board.name, "device": board.part,
            "phase": "decode", "m": 1, "design_id": design.model, "name": design.name,
            "tokens_per_s": design.tokens_per_s.value, "us_per_token": 1e6 / design.tokens_per_s.value,
            "source": f"published ({design.tokens_per_s.source})",
        }
        for board in boards for design in board.published
    ]  # fmt: skip


def board_table(fpga: pd.DataFrame, cycles: BuildCycles, boards: Iterable[Board], workload: Workload) -> pd.DataFrame:
    """`board_rows` and, after them, `published_rows`, as the `boards` table."""
    known = list(boards)
    rows = [*board_rows(fpga, cycles, known, workload), *published_rows(known)]
    return pd.DataFrame(rows).reindex(columns=COLUMNS)
