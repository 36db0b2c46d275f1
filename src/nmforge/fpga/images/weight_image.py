"""Memory images of one layer: weights as an engine streams them, and activations; each with its inverse.

Weight image, for R output channels a tile, L lanes, windows of `window` inputs, groups of G inputs:

    tile 0 | tile 1 | ...                                  R output channels each, channels padded with zeros
    tile       = block 0 | block 1 | ...                   512 inputs each (the last one may be shorter)
    block      = code plane | index plane | scale plane
    code plane = one beat a step:  bits of code[channel 0][lane 0..L-1], channel 1, ..., padded to whole bytes
    index plane  likewise with offsets 0..window-1, ascending from step to step of a window; absent where keep == window
    scale plane = one beat a group:  uint8 group_mult[channel 0], channel 1, ...

`keep` steps take L windows: lane l of them works on window l. Activation image: column tile after column tile of C
tokens; one beat for L windows: int8[C][L][window].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmforge.artifact.packing.bits import pack_bits, unpack_bits
from nmforge.core.compressed_linear import CompressedLinear, Int8, UInt8
from nmforge.core.errors import NmforgeError
from nmforge.fpga.model.engine import Engine

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class KeptWeights:
    """What the weight image carries of a layer, `keep` weights in every window of the engine.

    codes int8[N, K/window, keep], offsets uint8[N, K/window, keep] and mult uint8[N, K/group]; windows and groups are
    the engine's.
    """

    codes: Int8
    offsets: UInt8
    mult: UInt8

    @property
    def n(self) -> int:
        """Output channels."""
        return int(self.codes.shape[0])

    @property
    def keep(self) -> int:
        """Kept weights, and so steps, of a window."""
        return int(self.codes.shape[2])


def kept_weights(linear: CompressedLinear, engine: Engine) -> KeptWeights:
    """Kept codes, offsets and multipliers of a layer in the engine's windows and groups.

    Raises NmforgeError where the layer does not fit the build.
    """
    keep = engine.keep(linear.pattern)
    if linear.bits > engine.bits:
        raise NmforgeError(
            f"this engine is built for codes of {engine.bits} bits, the layer has {linear.bits}; build the engine with "
            "the layer's bits"
        )
    if linear.group_size % engine.group or linear.k % engine.group:
        raise NmforgeError(
            f"group_size {linear.group_size} and K = {linear.k} do not split into the engine's groups of "
            f"{engine.group}; build the engine with a group that divides both"
        )
    offsets = np.broadcast_to(np.arange(linear.k) % engine.window, linear.codes.shape)[linear.keep_mask]
    shape = (linear.n, linear.k // engine.window, keep)
    mult = np.repeat(linear.group_mult, linear.group_size // engine.group, axis=1)
    return KeptWeights(linear.kept_codes().reshape(shape), offsets.astype(np.uint8).reshape(shape), mult)


def write_weight_image(kept: KeptWeights, engine: Engine) -> Bytes:
    """Weight image of the whole layer: uint8[tiles, bytes of a tile]."""
    channels = engine.channels
    planes: list[NDArray[np.generic]] = [_step_beats(kept.codes, engine, engine.bits)]
    if engine.index_bytes(kept.keep):
        planes.append(_step_beats(_pad_offsets(kept.offsets, channels), engine, engine.index_bits))
    planes.append(_pad_rows(kept.mult, channels).reshape(-1, channels, kept.mult.shape[1]).transpose(0, 2, 1))
    groups = kept.mult.shape[1]
    parts: list[NDArray[np.generic]] = []
    for first in range(0, groups, engine.groups_per_block):
        last = min(first + engine.groups_per_block, groups)
        for plane in planes:
            beats_per_group = plane.shape[1] // groups
            block = plane[:, first * beats_per_group : last * beats_per_group]
            parts.append(block.reshape(block.shape[0], -1))
    return np.ascontiguousarray(np.concatenate(parts, axis=1))


def read_weight_image(image: Bytes, engine: Engine, n: int, groups: int, keep: int) -> KeptWeights:
    """Inverse of `write_weight_image`: `n` channels, `groups` engine groups a row and `keep` steps a window."""
    steps = engine.windows_per_group * keep
    widths = [steps * engine.code_bytes, steps * engine.index_bytes(keep), engine.channels]
    planes: list[list[Bytes]] = [[], [], []]
    at = 0
    for first in range(0, groups, engine.groups_per_block):
        count = min(engine.groups_per_block, groups - first)
        for plane, width in zip(planes, widths, strict=True):
            plane.append(image[:, at : at + count * width])
            at += count * width
    code_plane, index_plane, mult_plane = (np.concatenate(plane, axis=1) for plane in planes)
    codes = _read_step_beats(code_plane, engine, engine.bits, keep, signed=True)[:n].astype(np.int8)
    if engine.index_bytes(keep):
        offsets = _read_step_beats(index_plane, engine, engine.index_bits, keep, signed=False)[:n]
    else:
        offsets = np.broadcast_to(np.arange(engine.window), codes.shape)
    mult = mult_plane.reshape(-1, groups, engine.channels).transpose(0, 2, 1).reshape(-1, groups)[:n]
    return KeptWeights(codes, offsets.astype(np.uint8), mult)


def write_activation_image(xq: Int8, engine: Engine) -> Int8:
    """int8[M, K] -> int8[column tiles, K/(lanes*window), tokens, lanes*window]; tokens are padded with zeros."""
    width = engine.lanes * engine.window
    padded = _pad_rows(xq, engine.tokens)
    return np.ascontiguousarray(padded.reshape(-1, engine.tokens, xq.shape[1] // width, width).transpose(0, 2, 1, 3))


def _pad_rows(values: NDArray[np.generic], size: int) -> NDArray[np.generic]:
    """Append zero rows until the number of rows is a multiple of `size`."""
    return np.pad(values, ((0, -values.shape[0] % size), (0, 0)))


def _pad_offsets(offsets: UInt8, channels: int) -> UInt8:
    """Channels that pad the last tile carry the offsets 0..keep-1, which the loader accepts."""
    extra = -offsets.shape[0] % channels
    padding = np.broadcast_to(np.arange(offsets.shape[2], dtype=np.uint8), (extra, *offsets.shape[1:]))
    return np.concatenate([offsets, padding])


def _step_beats(values: NDArray[np.generic], engine: Engine, bits: int) -> Bytes:
    """[N, windows, keep] -> uint8[tiles, steps, bytes of a beat]."""
    n, windows, keep = values.shape
    channels, lanes = engine.channels, engine.lanes
    padded = _pad_rows(values.reshape(n, -1), channels)
    ordered = padded.reshape(-1, channels, windows // lanes, lanes, keep).transpose(0, 2, 4, 1, 3)
    steps = windows // lanes * keep
    return pack_bits(ordered.reshape(-1, channels * lanes), bits).reshape(ordered.shape[0], steps, -1)


def _read_step_beats(plane: Bytes, engine: Engine, bits: int, keep: int, signed: bool) -> NDArray[np.int64]:
    """Inverse of `_step_beats`: uint8[tiles, steps * bytes of a beat] -> [padded N, windows, keep]."""
    channels, lanes = engine.channels, engine.lanes
    beats = plane.reshape(-1, (channels * lanes * bits + 7) // 8)
    values = unpack_bits(beats, bits, channels * lanes, signed).reshape(plane.shape[0], -1, keep, channels, lanes)
    return values.transpose(0, 3, 1, 4, 2).reshape(plane.shape[0] * channels, -1, keep)
