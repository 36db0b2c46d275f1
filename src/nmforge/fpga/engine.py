"""What one build of the GEMM engine is: its parameters, its limits and the bytes of its stream beats."""

from __future__ import annotations

from dataclasses import dataclass

from nmforge.errors import NmforgeError
from nmforge.spec import Pattern

TOP = "nmforge_gemm"
PREFERRED_GROUP = 64
LARGEST_GROUP = 128
BLOCK_INPUTS = 512  # inputs (dense K) in one block of the weight image


@dataclass(frozen=True)
class Engine:
    """ROWS x COLS array for one pattern; `group` dense inputs share a group multiplier.

    Rows are output channels n, columns are tokens m. Every PE has `pattern.keep` multipliers.
    """

    pattern: Pattern
    bits: int
    rows: int
    cols: int
    group: int

    @classmethod
    def widest(cls, pattern: Pattern, bits: int, rows: int, cols: int, group: int) -> Engine:
        """The engine of at most `cols` columns that keeps the no-stall rule; raises where not even one column does."""
        return cls(pattern, bits, rows, max(1, min(cols, group // pattern.of // 2)), group)

    def __post_init__(self) -> None:
        of = self.pattern.of
        if self.bits not in range(2, 9):
            raise NmforgeError(f"the engine takes weight codes of 2 to 8 bits, not {self.bits}; choose bits in 2..8")
        if self.rows < 1 or self.cols < 1:
            raise NmforgeError(f"an array of {self.rows}x{self.cols} is empty; rows and cols start at 1")
        if self.group % of:
            raise NmforgeError(
                f"group_size {self.group} does not hold whole windows of {self.pattern}; use a multiple of {of}"
            )
        if 2 * self.cols > self.group // of:
            raise NmforgeError(
                f"cols = {self.cols} breaks the no-stall rule 2 * cols <= group_size / of for {self.pattern} with "
                f"group_size {self.group}; use at most {self.group // of // 2} columns or a larger group"
            )

    @property
    def index_bits(self) -> int:
        """Bits of one offset inside a window, as the index stream carries it."""
        return max(1, (self.pattern.of - 1).bit_length())

    @property
    def windows_per_group(self) -> int:
        """Windows, and so cycles, of one group."""
        return self.group // self.pattern.of

    @property
    def groups_per_block(self) -> int:
        """Groups in one block of the weight image: 512 inputs, or one group where a group is larger."""
        return max(1, BLOCK_INPUTS // self.group)

    @property
    def code_bytes(self) -> int:
        """Bytes of one beat of s_code."""
        return (self.rows * self.pattern.keep * self.bits + 7) // 8

    @property
    def index_bytes(self) -> int:
        """Bytes of one beat of s_index; a dense engine has no offsets."""
        return 0 if self.pattern.is_dense else (self.rows * self.pattern.keep * self.index_bits + 7) // 8

    @property
    def act_bytes(self) -> int:
        """Bytes of one beat of s_act."""
        return self.cols * self.pattern.of

    @property
    def multipliers(self) -> int:
        """Weight x activation multipliers of the array."""
        return self.rows * self.cols * self.pattern.keep

    @property
    def parameters(self) -> dict[str, int]:
        """SystemVerilog parameters of the top."""
        keep, of = self.pattern.keep, self.pattern.of
        return {
            "KEEP": keep, "OF": of, "BITS": self.bits, "ROWS": self.rows, "COLS": self.cols, "GROUP": self.group,
        }  # fmt: skip


def engine_group(group_size: int, pattern: Pattern) -> int:
    """Group the hardware should be built for, for a layer whose scales span `group_size` inputs.

    A long group may be cut: its multiplier is sent once for every part, and the sum is the same integer.
    That keeps accumulators narrow and lets layers with one scale per row share a build.
    """
    if group_size <= LARGEST_GROUP:
        return group_size
    if group_size % PREFERRED_GROUP == 0 and PREFERRED_GROUP % pattern.of == 0:
        return PREFERRED_GROUP
    fitting = [d for d in range(1, LARGEST_GROUP + 1) if group_size % d == 0 and d % pattern.of == 0]
    return fitting[-1] if fitting else group_size
