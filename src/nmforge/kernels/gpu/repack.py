"""Weights as the GPU kernel reads them: two byte arrays, group after group, so that a tile of rows is one stretch.

    format    codes, per group and row              more, per group and row
    dense4    G/2 bytes: codes 2i and 2i+1          -
    dense3    G/4 bytes: low two bits of four       G/8 bytes: high bit of eight
    2:4       G/4 bytes: both codes of a window     G/8 bytes: positions (two bits each) of two windows
    1:4       G/8 bytes: the codes of two windows   G/16 bytes: the positions of four windows

The first of several sits in the lowest bits. Codes are two's complement. `unpack` is the inverse of `pack`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.formats import DENSE, Pattern

UInt8 = NDArray[np.uint8]
FORMATS = {(DENSE, 4): "dense4", (DENSE, 3): "dense3", (Pattern(2, 4), 4): "2:4", (Pattern(1, 4), 4): "1:4"}


class Packed(NamedTuple):
    """codes: uint8[groups, N, bytes of a group's codes]. more: the same for what a format stores next to them."""

    codes: UInt8
    more: UInt8


def pack(linear: CompressedLinear) -> Packed:
    """The layer's codes in the format that `FORMATS` names for it."""
    name = FORMATS[linear.pattern, linear.bits]
    groups = _by_group(linear.codes, linear.group_size)
    if name == "dense4":
        return Packed(_join(groups, 4), np.zeros((*groups.shape[:2], 0), np.uint8))
    if name == "dense3":
        return Packed(_join(groups & 3, 2), _join((groups >> 2) & 1, 1))
    kept = np.flatnonzero(_by_group(linear.keep_mask, linear.group_size))
    shape = (*groups.shape[:2], -1)
    return Packed(
        _join(groups.reshape(-1)[kept].reshape(shape), 4), _join((kept % linear.pattern.window).reshape(shape), 2)
    )


def unpack(packed: Packed, pattern: Pattern, bits: int) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """(codes int8[N, K], 0 where pruned; mask bool[N, K]) of a layer that `pack` packed."""
    name = FORMATS[pattern, bits]
    fields = _split(packed.codes, 2) | _split(packed.more, 1) << 2 if name == "dense3" else _split(packed.codes, 4)
    sign = 1 << (bits - 1)
    codes = ((fields.astype(np.int8) ^ sign) - sign).astype(np.int8)
    if pattern.is_dense:
        dense = _rows(codes)
        return dense, np.ones_like(dense, dtype=bool)
    groups, rows, count = codes.shape
    shape = (groups, rows, count // pattern.keep, pattern.keep)
    positions = _split(packed.more, 2).reshape(shape).astype(np.int64)
    windows = np.zeros((*shape[:3], pattern.window), np.int8)
    mask = np.zeros(windows.shape, bool)
    np.put_along_axis(windows, positions, codes.reshape(shape), axis=3)
    np.put_along_axis(mask, positions, True, axis=3)
    return _rows(windows.reshape(groups, rows, -1)), _rows(mask.reshape(groups, rows, -1))


def _by_group(matrix: NDArray[Any], group_size: int) -> UInt8:
    """[N, K] -> uint8[groups, N, G]."""
    return np.ascontiguousarray(matrix.reshape(len(matrix), -1, group_size).swapaxes(0, 1)).view(np.uint8)


def _rows(groups: NDArray[Any]) -> NDArray[Any]:
    """[groups, N, G] -> [N, K]."""
    return np.ascontiguousarray(groups.swapaxes(0, 1)).reshape(groups.shape[1], -1)


def _join(fields: NDArray[Any], bits: int) -> UInt8:
    """[..., T] -> uint8[..., T * bits / 8], the first of each byte in its lowest bits."""
    apart = (fields & ((1 << bits) - 1)).astype(np.uint8).reshape(*fields.shape[:-1], -1, 8 // bits)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    joined: UInt8 = np.bitwise_or.reduce(apart << shifts, axis=-1)
    return joined


def _split(data: UInt8, bits: int) -> UInt8:
    """The inverse of `_join`."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    return ((data[..., None] >> shifts) & np.uint8((1 << bits) - 1)).reshape(*data.shape[:-1], -1)
