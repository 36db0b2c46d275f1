"""Where the kept weights sit: three index encodings, each with its exact inverse and its cost.

offset       ceil(log2(of)) bits for each kept weight, ascending within a window
bitmask      one bit for each dense weight, 1 = kept
enumerative  the rank of each window's mask among all C(window, keep), several ranks packed as one integer

The mask is data. It is stored, never guessed from the codes, so a window with fewer than `keep` nonzeros
keeps its code-0 entries in place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nmforge.artifact.packing import enumerative
from nmforge.artifact.packing.bits import pack_bits, packed_bytes, unpack_bits
from nmforge.core.compressed_linear import Bool, UInt8, mask_from_offsets
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern


@dataclass(frozen=True)
class IndexEncoding:
    """pack: (mask bool[N, K], pattern) -> uint8[N, row_bytes]; unpack: its inverse; row_bytes: (k, pattern) -> int."""

    pack: Callable[[Bool, Pattern], UInt8]
    unpack: Callable[[UInt8, Pattern, int], Bool]
    row_bytes: Callable[[int, Pattern], int]


def offset_bits(pattern: Pattern) -> int:
    """Bits of one offset inside a window."""
    return (pattern.window - 1).bit_length()


def _kept(k: int, pattern: Pattern) -> int:
    return k // pattern.window * pattern.keep


def pack_offset(mask: Bool, pattern: Pattern) -> UInt8:
    """bool[N, K] -> offsets of the kept weights, packed."""
    rows, k = mask.shape
    offsets = np.broadcast_to(np.arange(k) % pattern.window, mask.shape)[mask]
    return pack_bits(offsets.reshape(rows, _kept(k, pattern)), offset_bits(pattern))


def unpack_offset(packed: UInt8, pattern: Pattern, k: int) -> Bool:
    """Inverse of `pack_offset`; raises NmforgeError where an offset lies outside its window."""
    offsets = unpack_bits(packed, offset_bits(pattern), _kept(k, pattern), signed=False)
    if offsets.size and offsets.max() >= pattern.window:
        raise NmforgeError(f"an offset leaves its window of {pattern.window}; compress this layer again")
    return mask_from_offsets(offsets.astype(np.uint8), pattern, k)


def pack_bitmask(mask: Bool, pattern: Pattern) -> UInt8:
    """bool[N, K] -> one bit for each weight."""
    return pack_bits(mask, 1)


def unpack_bitmask(packed: UInt8, pattern: Pattern, k: int) -> Bool:
    """Inverse of `pack_bitmask`."""
    return unpack_bits(packed, 1, k, signed=False).astype(np.bool_)


INDEX_ENCODINGS: dict[str, IndexEncoding] = {
    "offset": IndexEncoding(pack_offset, unpack_offset, lambda k, p: packed_bytes(_kept(k, p), offset_bits(p))),
    "bitmask": IndexEncoding(pack_bitmask, unpack_bitmask, lambda k, p: packed_bytes(k, 1)),
    "enumerative": IndexEncoding(enumerative.pack_enumerative, enumerative.unpack_enumerative, enumerative.row_bytes),
}
