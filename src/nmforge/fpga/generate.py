"""Memory images of one GEMM: weights as the engine streams them, and activations; each with its inverse.

Weight image, for R rows, windows of `of` inputs, groups of G inputs:

    row tile 0 | row tile 1 | ...                          R output channels each, channels padded with zeros
    row tile   = block 0 | block 1 | ...                   512 inputs each (the last one may be shorter)
    block      = code plane | index plane | scale plane
    code plane = one beat a window:  bits of code[row 0][0..keep-1], row 1, ..., padded to whole bytes
    index plane  likewise with offsets 0..of-1, ascending inside a window; absent where keep == of
    scale plane = one beat a group:  uint8 group_mult[row 0], row 1, ...

Activation image: column tile after column tile of C tokens; one beat a window: int8[C][of].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmforge.errors import NmforgeError
from nmforge.fpga.engine import Engine
from nmforge.linear import CompressedLinear, Int8, UInt8
from nmforge.packing.bits import pack_bits, unpack_bits

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Kept:
    """What the weight image carries of a layer.

    codes int8[N, K*keep/of], offsets uint8[N, K*keep/of] and mult uint8[N, K/group] for the engine's group.
    """

    codes: Int8
    offsets: UInt8
    mult: UInt8

    @property
    def n(self) -> int:
        """Output channels."""
        return int(self.codes.shape[0])


def tiles(length: int, size: int) -> int:
    """Tiles of `size` that cover `length`."""
    return -(-length // size)


def kept_weights(linear: CompressedLinear, engine: Engine) -> Kept:
    """Kept codes, offsets and multipliers of a layer in the engine's pattern and group.

    A dense layer fits every dense engine (1:1, 2:2, ...). Raises NmforgeError where layer and engine differ.
    """
    both_dense = linear.pattern.is_dense and engine.pattern.is_dense
    if (linear.pattern != engine.pattern and not both_dense) or linear.bits > engine.bits:
        raise NmforgeError(
            f"this engine is built for {engine.pattern} at {engine.bits} bits, the layer is {linear.pattern} at "
            f"{linear.bits} bits; build the engine with the layer's pattern and bits"
        )
    if linear.group_size % engine.group or linear.k % engine.group:
        raise NmforgeError(
            f"group_size {linear.group_size} and K = {linear.k} do not split into the engine's groups of "
            f"{engine.group}; build the engine with a group that divides both"
        )
    offsets = np.broadcast_to(np.arange(linear.k) % engine.pattern.of, linear.codes.shape)[linear.keep_mask]
    mult = np.repeat(linear.group_mult, linear.group_size // engine.group, axis=1)
    return Kept(linear.kept_codes(), offsets.astype(np.uint8).reshape(linear.n, -1), mult)


def weight_image(kept: Kept, engine: Engine) -> Bytes:
    """Weight image of the whole layer: uint8[row tiles, bytes of a row tile]."""
    planes = [
        _window_beats(kept.codes, engine, engine.bits),
        _window_beats(_pad_offsets(kept.offsets, engine), engine, engine.index_bits),
        _pad_rows(kept.mult, engine.rows).reshape(-1, engine.rows, kept.mult.shape[1]).transpose(0, 2, 1),
    ]
    if engine.pattern.is_dense:
        del planes[1]
    groups = kept.mult.shape[1]
    parts: list[NDArray[np.generic]] = []
    for first in range(0, groups, engine.groups_per_block):
        last = min(first + engine.groups_per_block, groups)
        for plane in planes:
            beats_per_group = plane.shape[1] // groups
            block = plane[:, first * beats_per_group : last * beats_per_group]
            parts.append(block.reshape(block.shape[0], -1))
    return np.ascontiguousarray(np.concatenate(parts, axis=1))


def read_weight_image(image: Bytes, engine: Engine, n: int, groups: int) -> Kept:
    """Inverse of `weight_image` for a layer of `n` channels and `groups` engine groups per row."""
    windows = engine.windows_per_group
    widths = [windows * engine.code_bytes, windows * engine.index_bytes, engine.rows]
    planes: list[list[Bytes]] = [[], [], []]
    at = 0
    for first in range(0, groups, engine.groups_per_block):
        count = min(engine.groups_per_block, groups - first)
        for plane, width in zip(planes, widths, strict=True):
            plane.append(image[:, at : at + count * width])
            at += count * width
    code_plane, index_plane, mult_plane = (np.concatenate(plane, axis=1) for plane in planes)
    codes = _read_window_beats(code_plane, engine, engine.bits, signed=True)[:n].astype(np.int8)
    if engine.pattern.is_dense:
        offsets = np.broadcast_to(np.arange(codes.shape[1]) % engine.pattern.of, codes.shape)
    else:
        offsets = _read_window_beats(index_plane, engine, engine.index_bits, signed=False)[:n]
    mult = mult_plane.reshape(-1, groups, engine.rows).transpose(0, 2, 1).reshape(-1, groups)[:n]
    return Kept(codes, offsets.astype(np.uint8), mult)


def activation_image(xq: Int8, engine: Engine) -> Int8:
    """int8[M, K] -> int8[column tiles, K/of, cols, of]; tokens are padded with zeros."""
    of = engine.pattern.of
    padded = _pad_rows(xq, engine.cols)
    return np.ascontiguousarray(padded.reshape(-1, engine.cols, xq.shape[1] // of, of).transpose(0, 2, 1, 3))


def read_activation_image(image: Int8, m: int) -> Int8:
    """Inverse of `activation_image` for `m` tokens."""
    column_tiles, windows, cols, of = image.shape
    return image.transpose(0, 2, 1, 3).reshape(column_tiles * cols, windows * of)[:m]


def _pad_rows(values: NDArray[np.generic], size: int) -> NDArray[np.generic]:
    """Append zero rows until the number of rows is a multiple of `size`."""
    return np.pad(values, ((0, -values.shape[0] % size), (0, 0)))


def _pad_offsets(offsets: UInt8, engine: Engine) -> UInt8:
    """Channels that pad the last row tile carry the offsets 0..keep-1, which the loader accepts."""
    extra = -offsets.shape[0] % engine.rows
    row = np.tile(np.arange(engine.pattern.keep, dtype=np.uint8), offsets.shape[1] // engine.pattern.keep)
    return np.concatenate([offsets, np.tile(row, (extra, 1))])


def _window_beats(values: NDArray[np.generic], engine: Engine, bits: int) -> Bytes:
    """[N, windows*keep] -> uint8[row tiles, windows, bytes of a beat]."""
    rows, keep = engine.rows, engine.pattern.keep
    padded = _pad_rows(values, rows).reshape(-1, rows, values.shape[1] // keep, keep)
    row_tiles, _, windows, _ = padded.shape
    packed = pack_bits(padded.transpose(0, 2, 1, 3).reshape(row_tiles * windows, rows * keep), bits)
    return packed.reshape(row_tiles, windows, -1)


def _read_window_beats(plane: Bytes, engine: Engine, bits: int, signed: bool) -> NDArray[np.int64]:
    """Inverse of `_window_beats`: uint8[row tiles, windows * bytes of a beat] -> [padded N, windows*keep]."""
    rows, keep = engine.rows, engine.pattern.keep
    beats = plane.reshape(-1, (rows * keep * bits + 7) // 8)
    values = unpack_bits(beats, bits, rows * keep, signed).reshape(plane.shape[0], -1, rows, keep)
    return values.transpose(0, 2, 1, 3).reshape(plane.shape[0] * rows, -1)
