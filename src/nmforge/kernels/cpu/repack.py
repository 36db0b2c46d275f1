"""Repack a compressed layer for the CPU kernels, and back.

Sixteen rows form a tile; a step holds four kept codes of each row; eight steps form a block of bit planes
(`layout.hpp` draws them). Groups start at a step, so a step has one multiplier. Kept codes stay in ascending k:

    kept codes [N, groups, kept]  --pad-->  [tiles, 16, steps, 4]  --tile-->  [tiles, blocks, 8, 64]  --planes--> bytes
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmforge.core.compressed_linear import Bool, CompressedLinear, Int8, UInt8, mask_from_offsets
from nmforge.core.formats import Pattern

TILE_ROWS = 16
LANES = 4
STEP_BYTES = TILE_ROWS * LANES
BLOCK_STEPS = 8
GATHER_WIDTH = 16  # activations one selection chooses from on every instruction set; some choose from more
MAX_INDEX_BITS = 4
FIELD_PLANES: dict[int, tuple[int, ...]] = {0: (), 1: (1,), 2: (2,), 3: (2, 1), 4: (4,)}

UInt32 = NDArray[np.uint32]
Int32 = NDArray[np.int32]


@dataclass(frozen=True)
class Steps:
    """Where the steps of a row lie, the same for all rows.

    stored: kept codes per group; per_group: steps per group; index_bits: 0 where every weight is stored.
    gather_base: uint32[steps], first activation that a step selects from.
    lane_base: uint8[steps, 4], added to the stored indices.
    segment_end, segment_group: uint32[segments], the step after each partial sum and the group of its multiplier.
    """

    stored: int
    per_group: int
    groups: int
    index_bits: int
    gather_base: UInt32
    lane_base: UInt8
    segment_end: UInt32
    segment_group: UInt32

    @property
    def blocks(self) -> int:
        """Blocks of eight steps in a row of tiles."""
        return len(self.gather_base) // BLOCK_STEPS


@dataclass(frozen=True)
class TiledLinear:
    """A layer as the kernels read it. planes: uint8[tiles, blocks, code_bits + index_bits, 64]; mult: uint8[tiles,
    groups, 16]; bias_correction: int32[tiles, 16], for activations stored plus 128; row_scale: float32[tiles, 16].
    """

    pattern: Pattern
    bits: int
    group_size: int
    n: int
    k: int
    steps: Steps
    planes: UInt8
    mult: UInt8
    bias_correction: Int32
    row_scale: NDArray[np.float32]

    @property
    def weight_bytes(self) -> int:
        """Bytes one product reads: codes, indices, multipliers, row scales and corrections."""
        return self.planes.nbytes + self.mult.nbytes + self.bias_correction.nbytes + self.row_scale.nbytes


def unpackable_reason(pattern: Pattern, group_size: int, gather_width: int = GATHER_WIDTH) -> str | None:
    """The reason a pattern is stored with its zeros instead of with indices; None where indices serve.

    gather_width: activations that one selection of the instruction set chooses from.
    """
    if pattern.is_dense:
        return None
    if group_size % pattern.window:
        return f"windows of {pattern.window} straddle groups of {group_size}"
    if pattern.window > 1 << MAX_INDEX_BITS:
        return f"windows of {pattern.window} need indices wider than {MAX_INDEX_BITS} bits"
    spanned = int(_lane_base(pattern, group_size).max()) + pattern.window
    if spanned > gather_width:
        return (
            f"four kept weights of {pattern} span {spanned} activations, more than the {gather_width} that "
            "one selection chooses from"
        )
    return None


def plan_steps(pattern: Pattern, group_size: int, k: int, gather_width: int = GATHER_WIDTH) -> Steps:
    """The steps of a row of K weights; without indices every weight is stored, pruned ones as code 0."""
    packed = not pattern.is_dense and unpackable_reason(pattern, group_size, gather_width) is None
    stored = group_size // pattern.window * pattern.keep if packed else group_size
    per_group, groups = -(-stored // LANES), k // group_size
    used = per_group * groups
    total = -(-used // BLOCK_STEPS) * BLOCK_STEPS
    first = np.arange(per_group) * LANES
    in_group = first // pattern.keep * pattern.window if packed else first
    gather_base = np.zeros(total, dtype=np.uint32)
    gather_base[:used] = (np.arange(groups)[:, None] * group_size + in_group).ravel()
    lane_base = np.zeros((total, LANES), dtype=np.uint8)
    if packed:
        lane_base[:used] = np.tile(_lane_base(pattern, group_size), (groups, 1))
    ends, owners = _segments(per_group, groups, total)
    index_bits = (pattern.window - 1).bit_length() if packed else 0
    return Steps(stored, per_group, groups, index_bits, gather_base, lane_base, ends, owners)


def tile_linear(linear: CompressedLinear, gather_width: int = GATHER_WIDTH) -> TiledLinear:
    """Repack a layer for selections from `gather_width` activations; `untile` is the inverse."""
    steps = plan_steps(linear.pattern, linear.group_size, linear.k, gather_width)
    codes = linear.kept_codes() if steps.index_bits else linear.codes
    fields = _pack_field(_tile(codes, steps).view(np.uint8) + np.uint8(1 << (linear.bits - 1)), linear.bits)
    if steps.index_bits:
        indices = _pack_field(_tile(linear.kept_offsets(), steps), steps.index_bits)
        fields = np.concatenate([fields, indices], axis=2)
    row_scale = _pad_rows(linear.row_scale[:, None]).reshape(-1, TILE_ROWS)
    mult = _pad_rows(linear.group_mult).reshape(-1, TILE_ROWS, steps.groups).transpose(0, 2, 1)
    return TiledLinear(
        linear.pattern, linear.bits, linear.group_size, linear.n, linear.k, steps,
        _aligned(fields), np.ascontiguousarray(mult), _bias_correction(linear), row_scale,
    )  # fmt: skip


def duplicate(tiled: TiledLinear) -> TiledLinear:
    """The same layer at another place in memory; the steps, a few kilobytes, stay shared."""
    return replace(
        tiled, planes=_aligned(tiled.planes), mult=tiled.mult.copy(), bias_correction=tiled.bias_correction.copy(),
        row_scale=tiled.row_scale.copy(),
    )  # fmt: skip


def untile(tiled: TiledLinear) -> CompressedLinear:
    """The layer a `TiledLinear` was made of. Zeros of a pattern stored without indices lose their mask: such a layer
    comes back as dense codes."""
    codes_of = _unpack_field(tiled.planes[:, :, : tiled.bits], tiled.bits) - np.uint8(1 << (tiled.bits - 1))
    stored = _untile(codes_of, tiled).view(np.int8)
    pattern, mask = tiled.pattern, np.ones((tiled.n, tiled.k), dtype=np.bool_)
    codes = stored
    if tiled.steps.index_bits:
        offsets = _untile(_unpack_field(tiled.planes[:, :, tiled.bits :], tiled.steps.index_bits), tiled)
        mask = mask_from_offsets(offsets, pattern, tiled.k)
        codes = _scatter(stored, mask)
    elif not pattern.is_dense:
        pattern = Pattern(1, 1)
    mult = tiled.mult.transpose(0, 2, 1).reshape(-1, tiled.steps.groups)[: tiled.n]
    row_scale = tiled.row_scale.reshape(-1)[: tiled.n]
    return CompressedLinear(pattern, tiled.bits, tiled.group_size, codes, mask, mult, row_scale)


def _lane_base(pattern: Pattern, group_size: int) -> UInt8:
    """Distance from a step's first window to the window of each of its four kept codes: uint8[per_group, 4]."""
    stored = group_size // pattern.window * pattern.keep
    rank = np.arange(-(-stored // LANES) * LANES).reshape(-1, LANES)
    window = np.minimum(rank, stored - 1) // pattern.keep
    base: UInt8 = ((window - window[:, :1]) * pattern.window).astype(np.uint8)
    return base


def _segments(per_group: int, groups: int, total: int) -> tuple[UInt32, UInt32]:
    """Ends of partial sums: at the end of a group, at the latest every eight steps, and after the padding."""
    in_group = np.append(np.arange(BLOCK_STEPS, per_group, BLOCK_STEPS), per_group)
    ends = (np.arange(groups)[:, None] * per_group + in_group).ravel()
    owners = np.repeat(np.arange(groups), len(in_group))
    if ends[-1] < total:
        ends, owners = np.append(ends, total), np.append(owners, groups - 1)
    return ends.astype(np.uint32), owners.astype(np.uint32)


def _bias_correction(linear: CompressedLinear) -> Int32:
    """-128 * sum_k codes * group_mult per row: corrects for the 128 added to every activation. int32[tiles, 16]."""
    per_group = linear.codes.reshape(linear.n, -1, linear.group_size).sum(axis=2, dtype=np.int64)
    correction = -128 * (per_group * linear.group_mult).sum(axis=1)
    return _pad_rows(correction[:, None]).astype(np.int32).reshape(-1, TILE_ROWS)


def _pad_rows(values: NDArray[Any]) -> NDArray[Any]:
    """Add zero rows up to whole tiles."""
    return np.pad(values, ((0, -len(values) % TILE_ROWS), (0, 0)))


def _tile(stored: NDArray[Any], steps: Steps) -> NDArray[Any]:
    """[N, groups * stored] bytes -> [tiles, blocks, 8, 64], zero padded."""
    by_group = _pad_rows(stored).reshape(-1, steps.groups, steps.stored)
    padded = np.pad(by_group, ((0, 0), (0, 0), (0, steps.per_group * LANES - steps.stored)))
    rows = padded.reshape(-1, TILE_ROWS, steps.groups * steps.per_group, LANES)
    rows = np.pad(rows, ((0, 0), (0, 0), (0, steps.blocks * BLOCK_STEPS - rows.shape[2]), (0, 0)))
    return np.ascontiguousarray(rows.transpose(0, 2, 1, 3)).reshape(-1, steps.blocks, BLOCK_STEPS, STEP_BYTES)


def _untile(values: UInt8, tiled: TiledLinear) -> UInt8:
    """Inverse of `_tile`: [tiles, blocks, 8, 64] -> [N, groups * stored]."""
    steps = tiled.steps
    rows = values.reshape(len(values), -1, TILE_ROWS, LANES).transpose(0, 2, 1, 3)
    used = rows[:, :, : steps.groups * steps.per_group].reshape(-1, steps.groups, steps.per_group * LANES)
    return np.ascontiguousarray(used[: tiled.n, :, : steps.stored].reshape(tiled.n, -1))


def _scatter(stored: Int8, mask: Bool) -> Int8:
    """Kept codes back to their places in a dense row."""
    codes = np.zeros(mask.shape, dtype=np.int8)
    codes[mask] = stored.ravel()
    return codes


def _pack_field(values: UInt8, width: int) -> UInt8:
    """[tiles, blocks, 8, 64] values below 2^width -> [tiles, blocks, width, 64] planes."""
    planes, below = [], 0
    for bits in FIELD_PLANES[width]:
        part = ((values >> below) & ((1 << bits) - 1)).reshape(*values.shape[:2], bits, 8 // bits, STEP_BYTES)
        shifts = (np.arange(8 // bits) * bits).astype(np.uint8)[:, None]
        planes.append(np.bitwise_or.reduce(part << shifts, axis=3))
        below += bits
    return np.concatenate(planes, axis=2)


def _unpack_field(planes: UInt8, width: int) -> UInt8:
    """Inverse of `_pack_field`."""
    shape = (*planes.shape[:2], BLOCK_STEPS, STEP_BYTES)
    values, first, below = np.zeros(shape, dtype=np.uint8), 0, 0
    for bits in FIELD_PLANES[width]:
        shifts = (np.arange(8 // bits) * bits).astype(np.uint8)[:, None]
        part = (planes[:, :, first : first + bits, None] >> shifts) & ((1 << bits) - 1)
        values |= part.reshape(shape) << below
        first, below = first + bits, below + bits
    return values


def _aligned(planes: UInt8) -> UInt8:
    """A copy that starts at a cache line."""
    room = np.empty(planes.nbytes + STEP_BYTES, dtype=np.uint8)
    start = -room.ctypes.data % STEP_BYTES
    copy = room[start : start + planes.nbytes].reshape(planes.shape)
    copy[...] = planes
    return copy
