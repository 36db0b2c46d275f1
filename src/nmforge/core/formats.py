"""The words of the project as frozen dataclasses: pattern, quantization scheme, GEMM shape.

Nothing here needs NumPy or torch, so every stage can import it for free.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from nmforge.core.errors import NmforgeError

MAX_WINDOW = 32
ACTIVATION_MAX = 127
INT32_LIMIT = 2**31


@dataclass(frozen=True, order=True)
class Pattern:
    """N:M sparsity: `keep` weights kept in every window of `window` consecutive weights along K."""

    keep: int
    window: int

    def __post_init__(self) -> None:
        if not 1 <= self.window <= MAX_WINDOW or not 1 <= self.keep <= self.window:
            raise NmforgeError(
                f"pattern {self.keep}:{self.window} is out of range; "
                f"use keep:window with 1 <= keep <= window <= {MAX_WINDOW}"
            )

    def __str__(self) -> str:
        return f"{self.keep}:{self.window}"

    @property
    def is_dense(self) -> bool:
        """True where every weight is kept."""
        return self.keep == self.window

    @property
    def mask_count(self) -> int:
        """Number of masks a window can have, C(window, keep)."""
        return math.comb(self.window, self.keep)

    @property
    def label(self) -> str:
        """What tables and names call it: `dense`, or keep:window."""
        return "dense" if self.is_dense else str(self)

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read `2:4`, or `dense` for 1:1; raises NmforgeError where the text is neither."""
        if text == "dense":
            return DENSE
        match = re.fullmatch(r"(\d+):(\d+)", text)
        if match is None:
            raise NmforgeError(f"pattern {text!r} is not of the form keep:window; write for example 2:4, or dense")
        return cls(int(match[1]), int(match[2]))

    def check_divides(self, k: int, where: str) -> None:
        """Raise NmforgeError naming `where` unless rows of `k` weights split into whole windows."""
        if k % self.window:
            raise NmforgeError(
                f"pattern {self} does not divide K = {k} of {where}; choose a window that divides {k}, such as "
                + ", ".join(str(d) for d in range(2, MAX_WINDOW + 1) if k % d == 0)
            )


DENSE = Pattern(1, 1)


@dataclass(frozen=True)
class QuantScheme:
    """Integer codes of `bits` bits, one group multiplier per `group_size` weights along K.

    A group size of 0 stands for one group per row.
    """

    bits: int
    group_size: int

    def __post_init__(self) -> None:
        if self.bits not in range(2, 9):
            raise NmforgeError(f"bits = {self.bits} is out of range; use 2..8, or 16 for a design point left in bf16")
        if self.group_size < 0:
            raise NmforgeError(f"group_size = {self.group_size} is negative; use 0 for one group per row")

    @property
    def code_min(self) -> int:
        """Smallest code, two's complement."""
        return -(1 << (self.bits - 1))

    @property
    def code_max(self) -> int:
        """Largest code; a scale maps the largest magnitude of its group here."""
        return (1 << (self.bits - 1)) - 1

    def groups(self, k: int, where: str) -> tuple[int, int]:
        """(group size, groups per row) for rows of `k` weights; raises where G does not divide K."""
        size = self.group_size or k
        if k % size:
            raise NmforgeError(
                f"group_size {size} does not divide K = {k} of {where}; choose a divisor of {k}, or 0 for whole rows"
            )
        return size, k // size


@dataclass(frozen=True)
class GemmShape:
    """`y[M, N] = x[M, K] @ W[N, K].T`."""

    m: int
    n: int
    k: int


def check_accumulator(kept_per_row: int, scheme: QuantScheme, where: str) -> None:
    """Raise unless an INT32 accumulator holds any row: kept * |code| * mult * |x| < 2^31."""
    worst = kept_per_row * -scheme.code_min * 127 * ACTIVATION_MAX
    if worst >= INT32_LIMIT:
        limit = (INT32_LIMIT - 1) // (-scheme.code_min * 127 * ACTIVATION_MAX)
        raise NmforgeError(
            f"{where}: {kept_per_row} kept weights per row could overflow INT32 at {scheme.bits} bits; "
            f"at most {limit} fit, so split the layer along K or keep fewer weights"
        )
