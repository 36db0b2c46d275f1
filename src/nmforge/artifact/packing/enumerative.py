"""Enumerative coding of window masks: the combinatorial number system (Cover 1973), blocks of mixed radix.

A mask with kept offsets i_0 < i_1 < ... has the rank  sum_j C(i_j, j + 1)  in 0 .. C(window, keep) - 1.
Several ranks r_0, r_1, ... share one integer  r_0 + C * (r_1 + C * (r_2 + ...)),  C = C(window, keep):

    row     | block of b windows | block of b windows | ... | last block, the windows left |
    bits    | ceil(b log2 C)     | ceil(b log2 C)     |     | ceil(rest * log2 C)          | pad to a byte

b is the block length of at most 62 bits with the fewest bits per window: 17 windows in 44 bits for 2:4.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nmforge.artifact.packing.bits import Integers, pack_bits, packed_bytes, unpack_bits
from nmforge.artifact.packing.registry import REGISTRY, IndexEncoding
from nmforge.core.compressed_linear import Bool, UInt8
from nmforge.core.formats import Pattern

MAX_BLOCK_BITS = 62


def _block_bits(pattern: Pattern, windows: int) -> int:
    return int(pattern.mask_count**windows - 1).bit_length()


@cache
def block_windows(pattern: Pattern) -> int:
    """Windows per block: the cheapest length whose integer fits, the shorter one on a tie."""
    fitting = [b for b in range(1, MAX_BLOCK_BITS + 1) if _block_bits(pattern, b) <= MAX_BLOCK_BITS]
    return min(fitting, key=lambda b: _block_bits(pattern, b) / b)


def _split(k: int, pattern: Pattern) -> tuple[int, int, int]:
    """(full blocks, windows per block, windows in the last short block)."""
    length = block_windows(pattern)
    full, rest = divmod(k // pattern.window, length)
    return full, length, rest


def row_bytes(k: int, pattern: Pattern) -> int:
    """Bytes of one row's packed ranks."""
    full, length, rest = _split(k, pattern)
    return packed_bytes(1, full * _block_bits(pattern, length) + _block_bits(pattern, rest))


def rank_masks(mask: Bool, pattern: Pattern) -> NDArray[np.int64]:
    """bool[N, K] -> rank of each window, int64[N, K / window]."""
    binomial = _binomials(pattern)
    ranks = np.zeros((mask.shape[0], mask.shape[1] // pattern.window), dtype=np.int64)
    kept = np.zeros(ranks.shape, dtype=np.uint8)
    for offset in range(pattern.window):
        place = mask[:, offset :: pattern.window]
        kept += place
        ranks += binomial[offset][kept] * place
    return ranks


def unrank_masks(ranks: NDArray[np.int64], pattern: Pattern) -> Bool:
    """Inverse of `rank_masks`: take the largest offset whose binomial still fits, from the last kept weight down."""
    rest = ranks.copy()
    windows = np.zeros((*ranks.shape, pattern.window), dtype=np.bool_)
    binomial = _binomials(pattern)
    for kept in range(pattern.keep, 0, -1):
        offset = np.searchsorted(binomial[:, kept], rest, side="right") - 1
        rest -= binomial[offset, kept]
        np.put_along_axis(windows, offset[..., None], True, axis=-1)
    return windows.reshape(ranks.shape[0], -1)


def _binomials(pattern: Pattern) -> NDArray[np.int64]:
    """Table of C(offset, kept) for offset in 0..window-1 and kept in 0..keep."""
    table = [[math.comb(i, j) for j in range(pattern.keep + 1)] for i in range(pattern.window)]
    return np.array(table, dtype=np.int64)


def _join(ranks: NDArray[np.int64], masks: int) -> NDArray[np.int64]:
    """Ranks [..., windows] -> one integer [...], the first window least significant."""
    value = np.zeros(ranks.shape[:-1], dtype=np.int64)
    for window in range(ranks.shape[-1] - 1, -1, -1):
        value = value * masks + ranks[..., window]
    return value


def _part(value: NDArray[np.int64], masks: int, windows: int) -> NDArray[np.int64]:
    """Inverse of `_join`."""
    ranks = np.empty((*value.shape, windows), dtype=np.int64)
    for window in range(windows):
        value, ranks[..., window] = np.divmod(value, masks)
    return ranks


def pack(mask: Bool, pattern: Pattern) -> UInt8:
    """bool[N, K] -> uint8[N, row_bytes]."""
    rows, k = mask.shape
    full, length, rest = _split(k, pattern)
    ranks = rank_masks(mask, pattern)
    blocks = _join(ranks[:, : full * length].reshape(rows, full, length), pattern.mask_count)
    tail = _join(ranks[:, None, full * length :], pattern.mask_count)
    bits = [_bits(blocks, _block_bits(pattern, length)), _bits(tail, _block_bits(pattern, rest))]
    return pack_bits(np.concatenate(bits, axis=1), 1)


def unpack(packed: UInt8, pattern: Pattern, k: int) -> Bool:
    """Inverse of `pack`."""
    rows = packed.shape[0]
    full, length, rest = _split(k, pattern)
    width, tail_width = _block_bits(pattern, length), _block_bits(pattern, rest)
    flat = unpack_bits(packed, 1, full * width + tail_width, signed=False)
    blocks = _integers(flat[:, : full * width], full, width)
    tail = _integers(flat[:, full * width :], 1, tail_width)
    ranks = [
        _part(blocks, pattern.mask_count, length).reshape(rows, full * length),
        _part(tail, pattern.mask_count, rest).reshape(rows, rest),
    ]
    return unrank_masks(np.concatenate(ranks, axis=1), pattern)


def _bits(values: NDArray[np.int64], width: int) -> UInt8:
    """int64[N, c] -> its bits uint8[N, c * width], least significant first."""
    places = np.arange(width, dtype=np.int64)
    return ((values[..., None] >> places) & 1).astype(np.uint8).reshape(values.shape[0], -1)


def _integers(flat: Integers, count: int, width: int) -> NDArray[np.int64]:
    """Inverse of `_bits`."""
    places = np.arange(width, dtype=np.int64)
    return np.asarray(
        (flat.reshape(flat.shape[0], count, width).astype(np.int64) << places).sum(axis=2), dtype=np.int64
    )


REGISTRY.add(
    IndexEncoding(
        "enumerative", "ranks of the masks of several windows as one integer", pack, unpack, row_bytes, order=2
    )
)
