"""The oracle itself, against exact rational arithmetic and Python integers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from nmforge.core.compressed_linear import random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern, QuantScheme, check_accumulator
from nmforge.core.reference import accumulate, dequantize, forward_w4a8, quantize_activations, scale_output


def test_accumulator_by_python_integers() -> None:
    rng = np.random.default_rng(3)
    linear = random_linear(rng, 3, 24, Pattern(2, 4), 4, 8)
    xq = rng.integers(-127, 128, (2, 24), dtype=np.int8)
    for m in range(2):
        for n in range(3):
            want = sum(
                int(linear.group_mult[n, k // 8]) * int(linear.codes[n, k]) * int(xq[m, k])
                for k in range(24)
                if linear.keep_mask[n, k]
            )
            assert int(accumulate(linear, xq)[m, n]) == want


def test_ties_round_to_even_and_zero_rows_stay_zero() -> None:
    x = np.array([[127.0, 0.5, 1.5, -2.5, 3.5], [0, 0, 0, 0, 0]], dtype=np.float32)
    xq, step = quantize_activations(x)
    assert xq.tolist() == [[127, 0, 2, -2, 4], [0, 0, 0, 0, 0]]
    assert step.tolist() == [1.0, 0.0]


def test_output_has_one_rounding_per_operation() -> None:
    acc, step, row = 2**24 + 1, np.float32(0.1), np.float32(0.3)
    y = scale_output(np.array([[acc]], dtype=np.int32), np.array([step]), np.array([row]))
    scale = np.float32(float(Fraction(float(step)) * Fraction(float(row))))
    assert y[0, 0] == np.float32(float(Fraction(float(np.float32(acc))) * Fraction(float(scale))))


def test_w4a8_approaches_the_float_product() -> None:
    rng = np.random.default_rng(0)
    linear = random_linear(rng, 8, 256, Pattern(2, 4))
    x = rng.standard_normal((4, 256)).astype(np.float32)
    exact = x.astype(np.float64) @ dequantize(linear).astype(np.float64).T
    # |error of a quantized activation| <= a / 2, summed over the row's weights
    bound = (np.abs(x).max(1) / 254)[:, None] * np.abs(dequantize(linear)).sum(1)[None] * 1.001
    assert (np.abs(forward_w4a8(linear, x) - exact) <= bound).all()


def test_longest_row_that_cannot_overflow() -> None:
    check_accumulator(16643, QuantScheme(4, 64), "layer")
    with pytest.raises(NmforgeError, match="layer: 16644 kept weights per row could overflow INT32"):
        check_accumulator(16644, QuantScheme(4, 64), "layer")
