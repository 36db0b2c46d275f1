"""Mode W4A8 on a GPU, in Triton: the integers of the reference, the CPU kernels and the accelerator.

A program takes `ROWS` rows of weights and some of the groups, unpacks a group to int8 in registers, multiplies it on
the tensor cores into INT32, scales the sum by the group's multiplier and adds it to its accumulator. Where the groups
of a tile are shared out among programs, their sums meet in atomic additions: integers add up to the same in any order.
Rounding happens in two places, as in `core.reference`: where activations become integers, and where sums become floats.
"""

from __future__ import annotations

import triton
import triton.language as tl

# rounds to the nearest integer, ties to even, what is below 2^22: added, it pushes the fraction out of a float32
SHIFT = tl.constexpr(12582912.0)


@triton.jit
def quantize(x, xq, step, acc, k, n, WIDTH: tl.constexpr, ZEROED: tl.constexpr):
    """One row: float32[K] -> int8[K] and its step; its row of accumulators is set to zero."""
    row = tl.program_id(0)
    at = tl.arange(0, WIDTH)
    values = tl.load(x + row * k + at, mask=at < k, other=0.0)
    size = tl.div_rn(tl.max(tl.abs(values), axis=0), 127.0)
    quotient = tl.div_rn(values, tl.where(size == 0, 1.0, size))
    rounded = (quotient + SHIFT) - SHIFT
    rounded = tl.minimum(tl.maximum(tl.where(size == 0, 0.0, rounded), -127.0), 127.0)
    tl.store(xq + row * k + at, rounded.to(tl.int8), mask=at < k)
    tl.store(step + row, size)
    zeros = tl.zeros([ZEROED], tl.int32)
    for first in range(0, n, ZEROED):
        positions = first + tl.arange(0, ZEROED)
        tl.store(acc + row * n + positions, zeros, mask=positions < n)


@triton.jit
def _fields(data, BITS: tl.constexpr, ROWS: tl.constexpr, COUNT: tl.constexpr):
    """uint8[ROWS, COUNT * BITS / 8] -> int32[ROWS, COUNT]."""
    shifts = tl.arange(0, 8 // BITS) * BITS
    apart = (data.to(tl.int32)[:, :, None] >> shifts[None, None, :]) & ((1 << BITS) - 1)
    return tl.reshape(apart, (ROWS, COUNT))


@triton.jit
def _bytes_of(base, rows, inside, BYTES: tl.constexpr):
    """Some rows of uint8[groups * N, BYTES]: uint8[ROWS, BYTES], 0 where a row is not `inside`."""
    return tl.load(base + (rows * BYTES)[:, None] + tl.arange(0, BYTES)[None, :], mask=inside[:, None], other=0)


@triton.jit
def _weights(codes, more, rows, inside, FORMAT: tl.constexpr, G: tl.constexpr, ROWS: tl.constexpr):
    """Codes int8[ROWS, G] of a group, 0 where pruned. rows, inside: as in `_bytes_of`."""
    if FORMAT == "dense4":
        nibbles = _fields(_bytes_of(codes, rows, inside, G // 2), 4, ROWS, G)
        return ((nibbles ^ 8) - 8).to(tl.int8)
    elif FORMAT == "dense3":
        low = _fields(_bytes_of(codes, rows, inside, G // 4), 2, ROWS, G)
        high = _fields(_bytes_of(more, rows, inside, G // 8), 1, ROWS, G)
        return (((low | (high << 2)) ^ 4) - 4).to(tl.int8)
    elif FORMAT == "2:4":
        pair = _bytes_of(codes, rows, inside, G // 4).to(tl.int32)[:, :, None]
        positions = _fields(_bytes_of(more, rows, inside, G // 8), 4, ROWS, G // 4)[:, :, None]
        here = tl.arange(0, 4)[None, None, :]
        first, second = ((pair & 15) ^ 8) - 8, ((pair >> 4) ^ 8) - 8
        found = tl.where((positions & 3) == here, first, tl.where((positions >> 2) == here, second, 0))
        return tl.reshape(found, (ROWS, G)).to(tl.int8)
    else:
        kept = ((_fields(_bytes_of(codes, rows, inside, G // 8), 4, ROWS, G // 4) ^ 8) - 8)[:, :, None]
        positions = _fields(_bytes_of(more, rows, inside, G // 16), 2, ROWS, G // 4)[:, :, None]
        found = tl.where(positions == tl.arange(0, 4)[None, None, :], kept, 0)
        return tl.reshape(found, (ROWS, G)).to(tl.int8)


@triton.jit
def accumulate(
    xq, codes, more, mult, acc, m, n, k, groups,
    FORMAT: tl.constexpr, G: tl.constexpr, ROWS: tl.constexpr, TOKENS: tl.constexpr, SHARES: tl.constexpr,
):  # fmt: skip
    """acc int32[M, N] = the sum over all programs of xq int8[M, K] times their rows and groups. mult: uint8[groups, N].

    acc holds zeros before: with one share the sums are stored, not added.
    """
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    tokens = tl.program_id(1) * TOKENS + tl.arange(0, TOKENS)
    inputs = tl.arange(0, G)
    each = tl.cdiv(groups, SHARES)
    first = tl.program_id(2) * each
    total = tl.zeros([ROWS, TOKENS], tl.int32)
    for group in range(first, tl.minimum(first + each, groups)):
        weights = _weights(codes, more, group * n + rows, rows < n, FORMAT, G, ROWS)
        where = tokens[None, :] * k + group * G + inputs[:, None]
        x = tl.load(xq + where, mask=(tokens < m)[None, :], other=0)
        factor = tl.load(mult + group * n + rows, mask=rows < n, other=0).to(tl.int32)
        total += tl.dot(weights, x, out_dtype=tl.int32) * factor[:, None]
    place = acc + tokens[None, :] * n + rows[:, None]
    inside = (tokens < m)[None, :] & (rows < n)[:, None]
    if SHARES == 1:
        tl.store(place, total, mask=inside)
    else:
        tl.atomic_add(place, total, mask=inside, sem="relaxed")


@triton.jit
def scale(acc, step, row_scale, y, n, WIDTH: tl.constexpr):
    """y float32[M, N] = float32(acc) * (step * row_scale), one rounding for the scale and one for the product."""
    row = tl.program_id(0)
    at = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    sums = tl.load(acc + row * n + at, mask=at < n, other=0).to(tl.float32)
    factor = tl.load(step + row) * tl.load(row_scale + at, mask=at < n, other=0.0)
    tl.store(y + row * n + at, sums * factor, mask=at < n)
