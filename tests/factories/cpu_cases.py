"""Cases every instruction set has to pass: random and extreme layers against `nmforge.reference`, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nmforge.core import reference
from nmforge.core.compressed_linear import CompressedLinear, random_linear
from nmforge.core.formats import Pattern
from nmforge.kernels.cpu import CpuLinear

# (pattern, N, K, group size): ragged N; groups that are no multiple of a step, of a block, or of the window.
SHAPES = [
    ("1:1", 37, 128, 64), ("1:1", 16, 30, 10), ("1:1", 5, 576, 0), ("2:2", 17, 64, 32),
    ("2:4", 33, 192, 64), ("2:4", 16, 84, 28), ("2:4", 50, 576, 64), ("2:4", 3, 4096, 0), ("2:4", 20, 60, 10),
    ("1:4", 31, 256, 64), ("1:2", 9, 64, 32), ("4:8", 18, 256, 64), ("4:8", 7, 120, 40), ("2:8", 16, 128, 64),
    ("2:6", 19, 96, 48), ("3:7", 21, 84, 28), ("5:7", 21, 84, 84), ("8:16", 16, 128, 64), ("1:16", 6, 128, 64),
    ("3:32", 10, 128, 64), ("1:8", 21, 256, 64), ("2:16", 18, 256, 64), ("1:16", 9, 512, 128), ("2:4", 11, 36, 6),
]  # fmt: skip
TOKENS = (1, 2, 3, 9)


def random_cases() -> Iterator[tuple[CompressedLinear, np.ndarray]]:
    """Layers of 2, 3 and 4 bits with normal activations, one row of them zero."""
    rng = np.random.default_rng(7)
    for text, n, k, group_size in SHAPES:
        for bits in (2, 3, 4):
            linear = random_linear(rng, n, k, Pattern.parse(text), bits, group_size)
            for m in TOKENS:
                x = rng.standard_normal((m, k), dtype=np.float32)
                x[m // 2] *= m > 1
                yield linear, x


def extreme_cases() -> Iterator[tuple[CompressedLinear, np.ndarray]]:
    """All codes at an end of their range, multipliers 127, activations +-127 (int8)."""
    for text, k in (("1:1", 4096), ("2:4", 4096), ("4:8", 512)):
        pattern = Pattern.parse(text)
        mask = np.tile(np.arange(pattern.window) < pattern.keep, (18, k // pattern.window))
        for bits, code in ((4, -8), (4, 7), (3, -4), (2, -2)):
            codes = np.where(mask, code, 0).astype(np.int8)
            mult = np.full((18, k // 128), 127, dtype=np.uint8)
            linear = CompressedLinear(pattern, bits, 128, codes, mask, mult, np.ones(18, dtype=np.float32))
            ends = np.full((5, k), 127, dtype=np.int8)
            ends[1], ends[3, ::2], ends[4] = -127, -127, 0
            yield linear, ends


def check_isa(isa: str) -> int:
    """Assert that `isa` equals the reference in every case and on one and two threads; the number of products."""
    checked = 0
    for linear, x in random_cases():
        kernel = CpuLinear(linear, isa)
        xq, step = reference.quantize_activations(x)
        acc = reference.accumulate(linear, xq)
        y = reference.scale_output(acc, step, linear.row_scale)
        for threads in (1, 2):
            np.testing.assert_array_equal(kernel.accumulate(xq, threads), acc, f"{isa} {linear.pattern}")
            np.testing.assert_array_equal(kernel.forward(x, threads), y, f"{isa} {linear.pattern}")
            checked += 2
    for linear, xq in extreme_cases():
        for rows in (xq, xq[:1]):
            np.testing.assert_array_equal(CpuLinear(linear, isa).accumulate(rows), reference.accumulate(linear, rows))
            checked += 1
    return checked
