"""Index encodings: how an artifact says where the kept weights lie. One file each in this package.

The mask is data. It is stored, never guessed from the codes, so a window with fewer than `keep` nonzeros
keeps its code-0 entries in place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nmforge.core.compressed_linear import Bool, UInt8
from nmforge.core.formats import Pattern
from nmforge.core.registry import Registry


@dataclass(frozen=True)
class IndexEncoding:
    """A codec of masks that keep exactly `pattern.keep` weights in each window, with an exact inverse.

    pack: (mask bool[N, K], pattern) -> uint8[N, row_bytes].
    unpack: (packed uint8[N, row_bytes], pattern, K) -> mask bool[N, K]; it raises NmforgeError, or returns a mask that
    keeps another number of weights, for bytes that `pack` never writes.
    row_bytes: (K, pattern) -> bytes of one packed row.
    order: place among the encodings in tables.
    """

    name: str
    summary: str
    pack: Callable[[Bool, Pattern], UInt8]
    unpack: Callable[[UInt8, Pattern, int], Bool]
    row_bytes: Callable[[int, Pattern], int]
    order: int = 100


REGISTRY: Registry[IndexEncoding] = Registry("index_encoding")
