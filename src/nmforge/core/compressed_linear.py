"""One compressed linear layer in memory: integer codes in dense layout, the mask, and the two-level scale."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern, QuantScheme, check_accumulator

Int8 = NDArray[np.int8]
UInt8 = NDArray[np.uint8]
Bool = NDArray[np.bool_]
Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CompressedLinear:
    """`w[n, k] = codes[n, k] * group_mult[n, k // G] * row_scale[n]`, zero where the mask is False.

    codes: int8[N, K], range of `bits`, 0 where pruned.
    keep_mask: bool[N, K], True = kept, exactly `pattern.keep` in each window of `pattern.window` along K.
    group_mult: uint8[N, K // group_size], 1..127.
    row_scale: float32[N].
    """

    pattern: Pattern
    bits: int
    group_size: int
    codes: Int8
    keep_mask: Bool
    group_mult: UInt8
    row_scale: Float32

    @property
    def n(self) -> int:
        """Output channels."""
        return int(self.codes.shape[0])

    @property
    def k(self) -> int:
        """Input channels, pruned ones included."""
        return int(self.codes.shape[1])

    @property
    def kept_per_row(self) -> int:
        """Stored codes per row, K * keep / window."""
        return self.k // self.pattern.window * self.pattern.keep

    def kept_codes(self) -> Int8:
        """Kept codes in ascending k: int8[N, K * keep / window]."""
        return self.codes[self.keep_mask].reshape(self.n, self.kept_per_row)

    def kept_offsets(self) -> UInt8:
        """Place of each kept weight inside its window, ascending: uint8[N, K * keep / window]."""
        k_index = np.broadcast_to(np.arange(self.k) % self.pattern.window, self.codes.shape)
        return k_index[self.keep_mask].astype(np.uint8).reshape(self.n, self.kept_per_row)

    def take_rows(self, rows: slice | NDArray[np.integer]) -> CompressedLinear:
        """The layer made of some output channels, in the order given."""
        return replace(
            self,
            codes=self.codes[rows],
            keep_mask=self.keep_mask[rows],
            group_mult=self.group_mult[rows],
            row_scale=self.row_scale[rows],
        )

    def check(self, where: str) -> None:
        """Raise NmforgeError naming `where` if any rule of the class docstring is broken."""
        self.pattern.check_divides(self.k, where)
        scheme = QuantScheme(self.bits, self.group_size)
        _, groups = scheme.groups(self.k, where)
        check_accumulator(self.kept_per_row, scheme, where)
        windows = kept_per_window(self.keep_mask, self.pattern)
        rules = {
            f"keep_mask does not keep {self.pattern.keep} in every window": bool((windows == self.pattern.keep).all()),
            "codes are nonzero where pruned": not self.codes[~self.keep_mask].any(),
            f"codes leave {scheme.code_min}..{scheme.code_max}": self._codes_in_range(scheme),
            "group_mult leaves 1..127": bool(((self.group_mult >= 1) & (self.group_mult <= 127)).all()),
            "row_scale is not finite": bool(np.isfinite(self.row_scale).all()),
            f"group_mult is not [{self.n}, {groups}]": self.group_mult.shape == (self.n, groups),
        }
        for sentence, holds in rules.items():
            if not holds:
                raise NmforgeError(f"{where}: {sentence}; compress this layer again")

    def _codes_in_range(self, scheme: QuantScheme) -> bool:
        return bool(self.codes.min() >= scheme.code_min and self.codes.max() <= scheme.code_max)


def kept_per_window(mask: Bool, pattern: Pattern) -> UInt8:
    """bool[N, K] -> weights kept in each window, uint8[N, K / window]; one pass for each place of a window."""
    kept = np.zeros((mask.shape[0], mask.shape[1] // pattern.window), dtype=np.uint8)
    for place in range(pattern.window):
        kept += mask[:, place :: pattern.window]
    return kept


def mask_from_offsets(offsets: UInt8, pattern: Pattern, k: int) -> Bool:
    """Inverse of `kept_offsets`: bool[N, K] from ascending window offsets uint8[N, K * keep / window]."""
    windows = np.zeros((offsets.shape[0], k // pattern.window, pattern.window), dtype=np.bool_)
    np.put_along_axis(windows, offsets.reshape(windows.shape[0], windows.shape[1], pattern.keep), True, axis=2)
    return windows.reshape(offsets.shape[0], k)


def random_linear(
    rng: np.random.Generator, n: int, k: int, pattern: Pattern, bits: int = 4, group_size: int = 64
) -> CompressedLinear:
    """A layer of uniform random codes, masks and scales, for benchmarks and tests."""
    scheme = QuantScheme(bits, group_size)
    size, groups = scheme.groups(k, "a random layer")
    order = rng.random((n, k // pattern.window, pattern.window)).argsort(axis=2)
    mask = (order < pattern.keep).reshape(n, k)
    codes = rng.integers(scheme.code_min, scheme.code_max + 1, (n, k), dtype=np.int8) * mask
    mult = rng.integers(1, 128, (n, groups), dtype=np.uint8)
    row_scale = rng.uniform(1e-5, 1e-4, n).astype(np.float32)
    return CompressedLinear(pattern, bits, size, codes.astype(np.int8), mask, mult, row_scale)
