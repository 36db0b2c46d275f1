"""LLaMA-7B decode and prefill modelled on the boards of boards.yaml, from engines as they were synthesized.

A board holds as many copies of a synthesized engine as its share of LUTs and flip-flops allows: nothing is scaled to a
size nobody synthesized. Copies split the output channels; in prefill some share a weight stream and split the tokens.

    time = max(bytes / (bandwidth * efficiency), cycles / clock)

Bytes are the weight image (codes, offsets, group multipliers) once for every pass over the tokens, and in decode the
FP16 KV cache of the context. Activations stay on the chip. Every row says `modelled`; none of it was measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from nmforge.core.errors import NmforgeError
from nmforge.core.formats import DENSE, GemmShape, Pattern
from nmforge.fpga.boards.boards import Board, BoardTable
from nmforge.fpga.boards.capacity import Build, Format, Placed, Workload, clock_of, placements, synthesized

PLATFORM = "FPGA board"  # not `FPGA`: those rows are cycles of one array that was simulated
CONTEXTS = (0, 512, 2048)
PREFILL_TOKENS = (128, 512)
SCOPE = "linear layers and the traffic of the KV cache; attention arithmetic, norms, embedding and head take no time"
COLUMNS = [
    "platform", "board", "device", "phase", "m", "context", "design_id", "pattern", "bits", "tokens_per_s",
    "us_per_token", "cycles_per_token", "bytes_per_token", "bandwidth_tokens_per_s", "speedup_vs_dense", "bound",
    "reason", "name", "source", "engine", "window", "lanes", "rows", "cols", "arrays", "multipliers", "clock_mhz",
    "clock_source", "memory", "bandwidth_gb_s", "efficiency", "share", "note", "stage", "scope",
]  # fmt: skip

Phase = Literal["decode", "prefill"]
Row = dict[str, object]


FORMATS = (
    Format(DENSE, 4),
    Format(DENSE, 3),  # takes the bytes of 2:4 INT4
    Format(Pattern(2, 4), 4),
    Format(Pattern(4, 8), 4),
    Format(Pattern(1, 4), 4),
    Format(Pattern(2, 8), 4),
)


BuildCycles = Callable[[GemmShape, Pattern, Build], int]


@dataclass(frozen=True)
class Case:
    """A question to a board: decode of one token after `context` others, or prefill of `m` tokens at once."""

    phase: Phase
    m: int
    context: int = 0

    @property
    def cached(self) -> int:
        """Tokens whose keys and values the memory holds."""
        return self.context + self.m


CASES = (
    *(Case("decode", 1, context) for context in CONTEXTS),
    *(Case("prefill", tokens) for tokens in PREFILL_TOKENS),
)


@dataclass(frozen=True)
class Run:
    """One way to answer a case: `arrays` copies of a build, and what it costs."""

    placed: Placed
    arrays: int
    cycles: int
    bytes: float
    bandwidth_s: float

    @property
    def compute_s(self) -> float:
        """Seconds the arrays are busy."""
        return self.cycles / (self.placed.clock_mhz * 1e6)

    @property
    def seconds(self) -> float:
        """The longer of both."""
        return max(self.bandwidth_s, self.compute_s)

    @property
    def bound(self) -> str:
        """What the time is spent on."""
        return "bandwidth" if self.bandwidth_s >= self.compute_s else "compute"


def token_copies(placed: Placed, tokens: int, ram_bits: float, longest: int) -> Iterator[int]:
    """How many copies may share a weight stream and split the tokens: powers of two.

    No more than there are tokens for, nor than the chip's RAM holds INT8 activations of `longest` inputs for.
    """
    along = 1
    while along <= placed.copies and (along == 1 or (along // 2) * placed.build.tokens < tokens):
        if along * placed.build.tokens * longest * 8 <= ram_bits:
            yield along
        along *= 2


def run_of(
    case: Case, layout: Format, workload: Workload, board: Board, placed: Placed, along: int, cycles: BuildCycles
) -> Run:
    """Cycles and bytes of a case where `along` copies split the tokens and the others the channels.

    Raises NmforgeError where the build cannot run the pattern.
    """
    channels = placed.copies // along
    total = workload.layers * sum(
        count * cycles(GemmShape(math.ceil(case.m / along), math.ceil(n / channels), k), layout.pattern, placed.build)
        for (n, k), count in workload.shapes.items()
    )
    passes = math.ceil(case.m / (placed.build.tokens * along))
    moved = passes * layout.image_bytes(workload) + case.context * workload.kv_bytes
    return Run(placed, channels * along, total, moved, moved / board.bytes_per_s)


def fastest_run(
    case: Case, layout: Format, workload: Workload, board: Board, candidates: list[Placed], cycles: BuildCycles
) -> Run | None:
    """The quickest grid of any engine, the one of fewer multipliers at a tie; None where no engine runs the format."""
    runs: list[Run] = []
    longest = max(k for _, k in workload.shapes)
    for placed in candidates:
        if not placed.build.runs(layout):
            continue
        for along in token_copies(placed, case.m, board.ram_bits.value, longest):
            try:
                runs.append(run_of(case, layout, workload, board, placed, along, cycles))
            except NmforgeError:  # the array would stall or a window not divide: no candidate
                break
    return min(runs, key=lambda run: (run.seconds, run.arrays * run.placed.build.multipliers), default=None)


def capacity_reason(case: Case, layout: Format, workload: Workload, name: str, board: Board) -> str | None:
    """A sentence where weights, KV cache, embedding and head exceed the board's memory, else None."""
    need = layout.image_bytes(workload) + case.cached * workload.kv_bytes + workload.other_bytes
    if need <= board.capacity.value:
        return None
    return (
        f"{workload.name} {layout} with an FP16 KV cache of {case.cached} token(s) takes {need / 1e9:.2f} GB and does "
        f"not fit the {board.capacity.value / 1e9:.2f} GB of {board.memory} on {name}"
    )


def board_rows(fpga: pd.DataFrame, cycles: BuildCycles, boards: BoardTable, workload: Workload) -> list[Row]:
    """One row per board, case and format, in `COLUMNS`; times are of the fastest grid of engines that fits.

    Args:
        fpga: the `fpga` table; `synthesis` rows give engines and their resources, `route` rows clocks.
        cycles: cycles of one GEMM on one build; may raise NmforgeError where the build cannot run the pattern.
        boards: the board table.
        workload: the model, for example LLaMA-7B.

    Returns:
        Rows with `source` starting `modelled (`. Where the model does not fit the memory, or no engine with a clock
        was synthesized, the values are NaN and `reason` says so. `speedup_vs_dense` is against dense INT4 of the same
        board and case.
    """
    rows: list[Row] = []
    for name, board in boards.boards.items():
        candidates = placements(fpga, board, boards.share.value)
        for case in CASES:
            group: list[Row] = []
            for layout in FORMATS:
                reason = capacity_reason(case, layout, workload, name, board)
                run = None if reason else fastest_run(case, layout, workload, board, candidates, cycles)
                if run is None:
                    answer = _no_result(reason or _lacking(layout, name, board, fpga, boards.share.value))
                else:
                    answer = _result(case, run, board)
                group.append(_described(name, board, case, layout) | answer)
            rows += _with_speedup(group)
    return rows


def _lacking(layout: Format, name: str, board: Board, fpga: pd.DataFrame, share: float) -> str:
    """Why no engine answers for a format that the memory holds."""
    able = [build for build in synthesized(fpga, board.target) if build.runs(layout)]
    clocked = [build for build in able if not math.isnan(clock_of(build, board, fpga))]
    if not clocked:
        return f"no {board.target} engine that runs {layout} has resource counts and a clock"
    if not any(build.copies(board, share) for build in clocked):
        least = min(build.lut for build in clocked)
        return f"no engine that runs {layout} fits {share:.0%} of {name}: the smallest takes {least:,} LUTs"
    return f"no engine that fits {name} runs {layout} without stalls or holds its activations"


def _described(name: str, board: Board, case: Case, layout: Format) -> Row:
    """The columns that say what was asked."""
    return {
        "platform": PLATFORM, "board": name, "device": board.device, "phase": case.phase, "m": case.m,
        "context": case.context, "design_id": f"{layout.pattern_name.replace(':', 'of')}-int{layout.bits}",
        "pattern": layout.pattern_name, "bits": layout.bits, "memory": board.memory,
        "bandwidth_gb_s": board.bandwidth.value / 1e9, "efficiency": board.efficiency.value,
        "note": board.note, "stage": "matmul", "scope": SCOPE,
    }  # fmt: skip


def _no_result(reason: str) -> Row:
    """The answer where there is none."""
    return {"tokens_per_s": math.nan, "reason": reason, "source": "modelled (no value)"}


def _result(case: Case, run: Run, board: Board) -> Row:
    """The columns that answer it, per token."""
    placed, build = run.placed, run.placed.build
    assumed = "assumed" if board.clock_mhz is not None else "routed"
    source = (
        f"modelled ({run.arrays} x {build.engine} {build.rows}x{build.cols} in {100 * placed.share:.0f} % of the chip, "
        f"as synthesized, {placed.clock_mhz:g} MHz {assumed}, {100 * board.efficiency.value:.3g} % of "
        f"{board.bandwidth.value / 1e9:.4g} GB/s{'; ' if board.note else ''}{board.note})"
    )
    return {
        "tokens_per_s": case.m / run.seconds, "us_per_token": 1e6 * run.seconds / case.m,
        "cycles_per_token": run.cycles / case.m, "bytes_per_token": run.bytes / case.m,
        "bandwidth_tokens_per_s": case.m / run.bandwidth_s, "bound": run.bound, "source": source,
        "engine": build.engine, "window": build.window, "lanes": build.lanes, "rows": build.rows, "cols": build.cols,
        "arrays": run.arrays, "multipliers": run.arrays * build.multipliers, "clock_mhz": placed.clock_mhz,
        "clock_source": assumed, "share": placed.share,
    }  # fmt: skip


def _with_speedup(rows: list[Row]) -> list[Row]:
    """`speedup_vs_dense` against the dense INT4 row among `rows`, which all answer one case on one board."""
    dense = next(row for row in rows if (row["pattern"], row["bits"]) == ("dense", 4))["tokens_per_s"]
    return [{**row, "speedup_vs_dense": _number(row["tokens_per_s"]) / _number(dense)} for row in rows]


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def published_rows(boards: BoardTable) -> list[Row]:
    """One row per published design: its tokens/s in decode, `source` starting `published (`."""
    return [
        {
            "platform": PLATFORM, "board": point.board, "device": boards.boards[point.board].device,
            "phase": "decode", "m": 1, "design_id": point.model, "name": point.name,
            "tokens_per_s": point.tokens_per_s.value, "us_per_token": 1e6 / point.tokens_per_s.value,
            "source": f"published ({point.tokens_per_s.source})",
        }
        for point in boards.published
    ]  # fmt: skip


def board_table(fpga: pd.DataFrame, cycles: BuildCycles, boards: BoardTable, workload: Workload) -> pd.DataFrame:
    """`board_rows` and, behind them, `published_rows`, as the `boards` table."""
    rows = [*board_rows(fpga, cycles, boards, workload), *published_rows(boards)]
    return pd.DataFrame(rows).reindex(columns=COLUMNS)
