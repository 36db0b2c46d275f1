"""One bit for each dense weight.

    window   0 0 1 1    1 0 0 1        2:4, 1 = kept
    bit      0 1 2 3    4 5 6 7  ...   of a row, least significant bit first (packing.bits)
    byte     0b10011100                bits 0 to 7
    padding  each row ends on a byte boundary; the spare bits are 0
Cost: 1 bit for each dense weight, whatever the pattern.
"""

from __future__ import annotations

import numpy as np

from nmforge.artifact.packing.bits import pack_bits, packed_bytes, unpack_bits
from nmforge.artifact.packing.registry import REGISTRY, IndexEncoding
from nmforge.core.compressed_linear import Bool, UInt8
from nmforge.core.formats import Pattern


def row_bytes(k: int, _pattern: Pattern) -> int:
    """Bytes of one row of bits."""
    return packed_bytes(k, 1)


def pack(mask: Bool, _pattern: Pattern) -> UInt8:
    """bool[N, K] -> uint8[N, row_bytes]."""
    return pack_bits(mask, 1)


def unpack(packed: UInt8, _pattern: Pattern, k: int) -> Bool:
    """Inverse of `pack`."""
    return unpack_bits(packed, 1, k, signed=False).astype(np.bool_)


REGISTRY.add(IndexEncoding("bitmask", "one bit for each dense weight", pack, unpack, row_bytes, order=1))
