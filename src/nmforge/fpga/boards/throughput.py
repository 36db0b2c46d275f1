"""LLaMA-7B decode and prefill modelled on the boards of the catalogue, from engines as they were synthesized.

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

from nmforge.core.errors import NmforgeError
from nmforge.core.formats import DENSE, GemmShape, Pattern
from nmforge.fpga.boards.boards import Board
from nmforge.fpga.boards.capacity import BoardFit, EngineBuild, Format, Workload

CONTEXTS = (0, 512, 2048)
PREFILL_TOKENS = (128, 512)
Phase = Literal["decode", "prefill"]

FORMATS = (
    Format(DENSE, 4),
    Format(DENSE, 3),  # takes the bytes of 2:4 INT4
    Format(Pattern(2, 4), 4),
    Format(Pattern(4, 8), 4),
    Format(Pattern(1, 4), 4),
    Format(Pattern(2, 8), 4),
)


BuildCycles = Callable[[GemmShape, Pattern, EngineBuild], int]


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
class Schedule:
    """One way to answer a case: `arrays` copies of a build, and what it costs."""

    fit: BoardFit
    arrays: int
    cycles: int
    bytes: float
    bandwidth_s: float

    @property
    def compute_s(self) -> float:
        """Seconds the arrays are busy."""
        return self.cycles / (self.fit.clock_mhz * 1e6)

    @property
    def seconds(self) -> float:
        """The longer of both."""
        return max(self.bandwidth_s, self.compute_s)

    @property
    def bound(self) -> str:
        """What the time is spent on."""
        return "bandwidth" if self.bandwidth_s >= self.compute_s else "compute"


def token_copies(fit: BoardFit, tokens: int, ram_bits: float, longest: int) -> Iterator[int]:
    """How many copies may share a weight stream and split the tokens: powers of two.

    No more than there are tokens for, nor than the chip's RAM holds INT8 activations of `longest` inputs for.
    """
    along = 1
    while along <= fit.copies and (along == 1 or (along // 2) * fit.build.tokens < tokens):
        if along * fit.build.tokens * longest * 8 <= ram_bits:
            yield along
        along *= 2


def schedule_of(
    case: Case, layout: Format, workload: Workload, board: Board, fit: BoardFit, along: int, cycles: BuildCycles
) -> Schedule:
    """Cycles and bytes of a case where `along` copies split the tokens and the others the channels.

    Raises NmforgeError where the build cannot run the pattern.
    """
    channels = fit.copies // along
    total = workload.layers * sum(
        count * cycles(GemmShape(math.ceil(case.m / along), math.ceil(n / channels), k), layout.pattern, fit.build)
        for (n, k), count in workload.shapes.items()
    )
    passes = math.ceil(case.m / (fit.build.tokens * along))
    moved = passes * layout.image_bytes(workload) + case.context * workload.kv_bytes
    return Schedule(fit, channels * along, total, moved, moved / board.bytes_per_s)


def fastest_schedule(
    case: Case, layout: Format, workload: Workload, board: Board, candidates: list[BoardFit], cycles: BuildCycles
) -> Schedule | None:
    """The quickest grid of any engine, the one of fewer multipliers at a tie; None where no engine runs the format."""
    found: list[Schedule] = []
    longest = max(k for _, k in workload.shapes)
    for fit in candidates:
        if not fit.build.runs(layout):
            continue
        for along in token_copies(fit, case.m, board.ram_bits.value, longest):
            try:
                found.append(schedule_of(case, layout, workload, board, fit, along, cycles))
            except NmforgeError:  # the array would stall or a window not divide: no candidate
                break
    return min(found, key=lambda one: (one.seconds, one.arrays * one.fit.build.multipliers), default=None)


def capacity_reason(case: Case, layout: Format, workload: Workload, board: Board) -> str | None:
    """A sentence where weights, KV cache, embedding and head exceed the board's memory, else None."""
    need = layout.image_bytes(workload) + case.cached * workload.kv_bytes + workload.other_bytes
    if need <= board.capacity.value:
        return None
    return (
        f"{workload.name} {layout} with an FP16 KV cache of {case.cached} token(s) takes {need / 1e9:.2f} GB and does "
        f"not fit the {board.capacity.value / 1e9:.2f} GB of {board.memory} on {board.name}"
    )
