"""What one build of the hardware is: its parameters, its limits and the bytes of its stream beats.

An engine is a core, the array and its flow control, or a device, which is what is placed and routed: the gemm core with
memory banks, a loader and registers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern

Core = Literal["gemm", "gemv"]
Kind = Literal["gemm", "gemv", "device"]
TOPS: dict[Kind, str] = {"gemm": "nmforge_gemm", "gemv": "nmforge_gemv", "device": "nmforge_engine"}
CORES, KINDS = get_args(Core), get_args(Kind)
PREFERRED_GROUP = 64
LARGEST_GROUP = 128
LARGEST_GROUP_BUILT = 256  # the row edge counts the ones that a group's products leave out, in as many bits
LARGEST_DEPTH = 1 << 15  # rows of a device's banks; its registers have 16 bits
GEMV_DEPTH = 4096  # windows of a token in the GEMV engine's bank
BLOCK_INPUTS = 512  # inputs (dense K) in one block of the weight image


@dataclass(frozen=True)
class Engine:
    """ROWS x COLS array whose PEs see windows of `window` inputs; `group` dense inputs share a group multiplier.

    Core gemm: rows are output channels n, columns are tokens m, every operand has a stream of its own. Core gemv:
    rows x cols output channels, one token. Device: the gemm core with banks, a loader and registers. A build has
    `lanes` multipliers a PE and runs every pattern that nests in keep:window; `keep` is chosen at run time.
    """

    window: int
    bits: int
    rows: int
    cols: int
    group: int
    lanes: int = 1
    kind: Kind = "gemm"
    depth: int = 2048  # of the device's banks: steps of a row tile, windows of all column tiles

    @classmethod
    def widest(cls, pattern: Pattern, bits: int, rows: int, cols: int, group: int, kind: Kind = "gemm") -> Engine:
        """The engine for a pattern with at most `cols` columns that keeps the no-stall rule."""
        fitting = group // pattern.window * pattern.keep // 2
        engine = cls(pattern.window, bits, rows, max(1, min(cols, fitting)), group, kind=kind)
        engine.keep(pattern)
        return engine

    def __post_init__(self) -> None:
        if self.bits not in range(2, 9):
            raise NmforgeError(f"the engine takes weight codes of 2 to 8 bits, not {self.bits}; choose bits in 2..8")
        if min(self.rows, self.cols, self.lanes) < 1:
            raise NmforgeError(f"an array of {self.rows}x{self.cols}x{self.lanes} is empty; sizes start at 1")
        if not 1 <= self.group <= LARGEST_GROUP_BUILT:
            raise NmforgeError(
                f"group {self.group} is not one an engine is built for; cut it to 1..{LARGEST_GROUP_BUILT} inputs"
            )
        if self.group % (self.window * self.lanes):
            raise NmforgeError(
                f"group_size {self.group} does not hold whole windows of {self.window} for {self.lanes} lane(s); "
                f"use a multiple of {self.window * self.lanes}"
            )
        if 2 * self.cols * self.lanes > self.group:
            raise NmforgeError(
                f"cols = {self.cols} breaks the no-stall rule 2 * cols <= steps of a group for every pattern: a dense "
                f"group of {self.group} has {self.group // self.lanes}; use at most {self.group // self.lanes // 2} "
                "columns or a larger group"
            )
        if self.depth > LARGEST_DEPTH:
            raise NmforgeError(f"banks of {self.depth} rows are too deep; the registers count {LARGEST_DEPTH}")
        if self.kind == "device" and self.word_bits < 8:
            raise NmforgeError(
                f"{self.rows} rows of {self.bits}-bit codes and {self.index_bits}-bit offsets do not fill whole bytes; "
                "use a multiple of 8 rows"
            )

    def keep(self, pattern: Pattern) -> int:
        """Steps a window takes for `pattern`; raises NmforgeError where this build cannot run it without a stall.

        A pattern nests where its windows tile the engine's: 1:2 is 2:4 in a window of 4, dense nests everywhere.
        """
        if self.window % pattern.window:
            raise NmforgeError(
                f"this engine selects from windows of {self.window}, where {pattern} does not fit; build one with "
                f"windows of {pattern.window} or a multiple of it"
            )
        keep = pattern.keep * self.window // pattern.window
        steps = self.group // (self.window * self.lanes) * keep
        if 2 * self.cols > steps:
            raise NmforgeError(
                f"cols = {self.cols} breaks the no-stall rule 2 * cols <= steps of a group ({steps} for {pattern} "
                f"with group_size {self.group}); use at most {steps // 2} columns or a larger group"
            )
        return keep

    @property
    def top(self) -> str:
        """Name of the top module."""
        return TOPS[self.kind]

    @property
    def channels(self) -> int:
        """Output channels of one tile."""
        return self.rows * self.cols if self.kind == "gemv" else self.rows

    @property
    def tokens(self) -> int:
        """Tokens of one tile."""
        return 1 if self.kind == "gemv" else self.cols

    @property
    def index_bits(self) -> int:
        """Bits of one offset inside a window, as the index stream carries it."""
        return max(1, (self.window - 1).bit_length())

    @property
    def windows_per_group(self) -> int:
        """Windows of one lane in a group."""
        return self.group // (self.window * self.lanes)

    @property
    def groups_per_block(self) -> int:
        """Groups in one block of the weight image: 512 inputs, or one group where a group is larger."""
        return max(1, BLOCK_INPUTS // self.group)

    @property
    def code_bytes(self) -> int:
        """Bytes of one beat of s_code."""
        return (self.channels * self.lanes * self.bits + 7) // 8

    def index_bytes(self, keep: int) -> int:
        """Bytes of one beat of s_index; where every place is kept there is no such stream."""
        return 0 if keep == self.window else (self.channels * self.lanes * self.index_bits + 7) // 8

    @property
    def act_bytes(self) -> int:
        """Bytes of one beat of s_act."""
        return self.tokens * self.lanes * self.window

    @property
    def multipliers(self) -> int:
        """Weight x activation multipliers of the array."""
        return self.rows * self.cols * self.lanes

    @property
    def word_bits(self) -> int:
        """Bits of a beat of the device's weight stream: the widest power of two up to 64 that splits every plane."""
        channel_bits = (self.lanes * self.bits, self.lanes * self.index_bits if self.window > 1 else 0, 8)
        return math.gcd(64, *(self.channels * bits for bits in channel_bits))

    @property
    def act_bits(self) -> int:
        """Bits of a beat of the device's activation stream: as many, up to 64, as split a window."""
        return math.gcd(64, 8 * self.act_bytes)

    @property
    def parameters(self) -> dict[str, int]:
        """SystemVerilog parameters of the top."""
        array = {
            "OF": self.window, "BITS": self.bits, "LANES": self.lanes, "ROWS": self.rows, "COLS": self.cols,
            "GROUP": self.group,
        }  # fmt: skip
        if self.kind == "gemm":
            return array
        if self.kind == "gemv":
            return array | {"DEPTH": GEMV_DEPTH}
        banks = {"STEPS": self.depth, "GROUPS": self.groups_deep, "WINDOWS": self.depth}
        return array | {"WORD": self.word_bits, "ACT": self.act_bits} | banks

    @property
    def groups_deep(self) -> int:
        """Groups of a row tile that the device's bank holds."""
        return max(2, self.depth * self.window * self.lanes // self.group)


def engine_group(group_size: int, pattern: Pattern) -> int:
    """Group the hardware should be built for, for a layer whose scales span `group_size` inputs.

    A long group may be cut: its multiplier is sent once for every part, and the sum is the same integer.
    That keeps accumulators narrow and lets layers with one scale per row share a build.
    """
    if group_size <= LARGEST_GROUP:
        return group_size
    if group_size % PREFERRED_GROUP == 0 and PREFERRED_GROUP % pattern.window == 0:
        return PREFERRED_GROUP
    fitting = [d for d in range(1, LARGEST_GROUP + 1) if group_size % d == 0 and d % pattern.window == 0]
    return fitting[-1] if fitting else group_size
