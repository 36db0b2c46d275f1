"""Offsets of the kept weights in their windows, ascending.

    window   0 0 1 1    1 0 0 1        2:4, 1 = kept
    offset      2 3      0   3         ceil(log2(window)) = 2 bits each
    bit      0-1 2-3    4-5 6-7  ...   of a row, least significant bit first (packing.bits)
    padding  each row ends on a byte boundary; the spare bits are 0
Cost: keep * ceil(log2(window)) / window bits for each dense weight, 1 for 2:4 and 1.5 for 4:8.
"""

from __future__ import annotations

import numpy as np

from nmforge.artifact.packing.bits import pack_bits, packed_bytes, unpack_bits
from nmforge.artifact.packing.registry import REGISTRY, IndexEncoding
from nmforge.core.compressed_linear import Bool, UInt8, mask_from_offsets
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern


def offset_bits(pattern: Pattern) -> int:
    """Bits of one offset inside a window."""
    return (pattern.window - 1).bit_length()


def _kept(k: int, pattern: Pattern) -> int:
    return k // pattern.window * pattern.keep


def row_bytes(k: int, pattern: Pattern) -> int:
    """Bytes of one row's packed offsets."""
    return packed_bytes(_kept(k, pattern), offset_bits(pattern))


def pack(mask: Bool, pattern: Pattern) -> UInt8:
    """bool[N, K] -> uint8[N, row_bytes]."""
    rows, k = mask.shape
    offsets = np.broadcast_to(np.arange(k) % pattern.window, mask.shape)[mask]
    return pack_bits(offsets.reshape(rows, _kept(k, pattern)), offset_bits(pattern))


def unpack(packed: UInt8, pattern: Pattern, k: int) -> Bool:
    """Inverse of `pack`; raises NmforgeError where an offset lies outside its window."""
    offsets = unpack_bits(packed, offset_bits(pattern), _kept(k, pattern), signed=False)
    if offsets.size and offsets.max() >= pattern.window:
        raise NmforgeError(f"an offset leaves its window of {pattern.window}; compress this layer again")
    return mask_from_offsets(offsets.astype(np.uint8), pattern, k)


REGISTRY.add(IndexEncoding("offset", "the place of each kept weight in its window", pack, unpack, row_bytes, order=0))
