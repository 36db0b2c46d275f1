"""The oracle: slow, obvious integer arithmetic that every backend has to equal bit for bit.

Mode W4A8, for weights `codes`, group multipliers g and row scales r, activations x (float32):
    a[m]      = max_k |x[m, k]| / 127
    xq[m, k]  = round_half_even(x[m, k] / a[m]), 0 where a[m] = 0
    acc[m, n] = sum_j g[n, j] * sum_{k in group j} codes[n, k] * xq[m, k]      exact, INT32
    y[m, n]   = float32(acc[m, n]) * (a[m] * r[n])                             each operation IEEE float32
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmforge.core.compressed_linear import CompressedLinear, Float32, Int8

Int32 = NDArray[np.int32]


def quantize_activations(x: Float32) -> tuple[Int8, Float32]:
    """float32[M, K] -> (int8[M, K] in -127..127, float32[M] step per token)."""
    step = np.abs(x).max(axis=1).astype(np.float32) / np.float32(127)
    divisor = np.where(step == 0, np.float32(1), step)
    quotient = np.rint(x / divisor[:, None])
    quotient[step == 0] = 0
    return np.clip(quotient, -127, 127).astype(np.int8), step


def accumulate(linear: CompressedLinear, xq: Int8) -> Int32:
    """Integer part of the product: int8[M, K] -> int32[M, N], summed in int64 and checked to fit."""
    total = np.zeros((xq.shape[0], linear.n), dtype=np.int64)
    for group in range(linear.group_mult.shape[1]):
        span = slice(group * linear.group_size, (group + 1) * linear.group_size)
        partial = xq[:, span].astype(np.int64) @ linear.codes[:, span].astype(np.int64).T
        total += partial * linear.group_mult[:, group].astype(np.int64)
    if np.abs(total).max(initial=0) >= 2**31:
        raise OverflowError("an accumulator left INT32; CompressedLinear.check should have refused this layer")
    return total.astype(np.int32)


def scale_output(acc: Int32, step: Float32, row_scale: Float32) -> Float32:
    """int32[M, N], float32[M], float32[N] -> float32[M, N]: one rounding for the scale, one for the product."""
    scale = step[:, None] * row_scale[None, :]
    return acc.astype(np.float32) * scale


def forward_w4a8(linear: CompressedLinear, x: Float32) -> Float32:
    """The whole of mode W4A8: float32[M, K] -> float32[M, N]."""
    xq, step = quantize_activations(x)
    return scale_output(accumulate(linear, xq), step, linear.row_scale)


def dequantize(linear: CompressedLinear) -> Float32:
    """Dense weights float32[N, K]; the integer product is exact, so one rounding per weight."""
    multipliers = np.repeat(linear.group_mult.astype(np.int32), linear.group_size, axis=1)
    return (linear.codes * multipliers).astype(np.float32) * linear.row_scale[:, None]
