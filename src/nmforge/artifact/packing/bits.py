"""Integers of a fixed width packed into bytes, row by row.

    value      v0        v1        v2                      width w bits each
    bit        0..w-1    w..2w-1   2w..3w-1   ...          least significant bit first
    byte       bit b of a row lies in byte b // 8 at place b % 8
    padding    each row ends on a byte boundary; the spare bits are 0
Signed values are stored in two's complement. At 4 bits the even value is the low nibble.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmforge.core.compressed_linear import UInt8

Integers = NDArray[Any]


def packed_bytes(columns: int, bits: int) -> int:
    """Bytes of one packed row."""
    return (columns * bits + 7) // 8


def pack_bits(values: Integers, bits: int) -> UInt8:
    """Integers [N, columns] of `bits` bits (1..64) -> uint8[N, ceil(columns * bits / 8)]."""
    rows, columns = values.shape
    unsigned: Integers = values.astype(np.uint8 if bits <= 8 else np.uint64)
    planes = np.empty((rows, columns, bits), dtype=np.uint8)
    for bit in range(bits):
        planes[:, :, bit] = np.right_shift(unsigned, bit) & 1
    return np.packbits(planes.reshape(rows, columns * bits), axis=1, bitorder="little")


def unpack_bits(packed: UInt8, bits: int, columns: int, signed: bool) -> Integers:
    """Inverse of `pack_bits`: int16[N, columns] for at most 8 bits, else int64 with unsigned values below 2^63."""
    rows = packed.shape[0]
    flat = np.unpackbits(packed, axis=1, count=columns * bits, bitorder="little")
    planes = flat.reshape(rows, columns, bits)
    dtype = np.int16 if bits <= 8 else np.int64
    values: Integers = np.zeros((rows, columns), dtype=dtype)
    for bit in range(bits):
        values |= np.left_shift(planes[:, :, bit].astype(dtype), bit)
    if signed:
        values -= np.left_shift(planes[:, :, bits - 1].astype(dtype), bits)
    return values
