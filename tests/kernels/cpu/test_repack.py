"""The CPU repacking: a bijection, whose bytes are those of the drawing in `layout.hpp`."""

from __future__ import annotations

import numpy as np
import pytest
from factories.cpu_cases import SHAPES

from nmforge.core.compressed_linear import CompressedLinear, random_linear
from nmforge.core.formats import DENSE, Pattern
from nmforge.kernels._native import w4a8
from nmforge.kernels.cpu import repack as layout


@pytest.mark.parametrize(("text", "n", "k", "group_size"), SHAPES)
@pytest.mark.parametrize("bits", [2, 3, 4])
def test_untile_is_the_inverse(text: str, n: int, k: int, group_size: int, bits: int) -> None:
    linear = random_linear(np.random.default_rng(n), n, k, Pattern.parse(text), bits, group_size)
    tiled = layout.tile_linear(linear)
    back = layout.untile(tiled)
    np.testing.assert_array_equal(back.codes, linear.codes)
    np.testing.assert_array_equal(back.group_mult, linear.group_mult)
    np.testing.assert_array_equal(back.row_scale, linear.row_scale)
    if tiled.steps.index_bits or linear.pattern.is_dense:
        assert back.pattern == linear.pattern
        np.testing.assert_array_equal(back.keep_mask, linear.keep_mask)


def test_bytes_of_a_dense_tile() -> None:
    """Row r, input k: step k // 4, byte 4 r + k % 4; even steps in the low nibble."""
    rng = np.random.default_rng(0)
    codes = rng.integers(-8, 8, (16, 32), dtype=np.int8)
    linear = CompressedLinear(
        DENSE, 4, 32, codes, np.ones((16, 32), dtype=bool), np.ones((16, 1), dtype=np.uint8),
        np.ones(16, dtype=np.float32),
    )  # fmt: skip
    planes = layout.tile_linear(linear).planes
    assert planes.shape == (1, 1, 4, 64)
    for r in range(16):
        for k in range(32):
            nibble = planes[0, 0, k // 8, 4 * r + k % 4] >> (4 * (k // 4 % 2)) & 15
            assert int(nibble) - 8 == codes[r, k]


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_fields_keep_every_value(width: int) -> None:
    values = np.random.default_rng(width).integers(0, 1 << width, (2, 3, 8, 64), dtype=np.uint8)
    planes = layout._pack_field(values, width)
    assert planes.shape == (2, 3, width, 64)
    np.testing.assert_array_equal(layout._unpack_field(planes, width), values)


@pytest.mark.parametrize(("text", "bits_per_weight"), [("1:1", 4.0), ("2:4", 3.0), ("1:4", 1.5), ("4:8", 3.5)])
def test_planes_cost_codes_and_indices_only(text: str, bits_per_weight: float) -> None:
    linear = random_linear(np.random.default_rng(0), 64, 1024, Pattern.parse(text), 4, 128)
    assert layout.tile_linear(linear).planes.nbytes * 8 == 64 * 1024 * bits_per_weight


def test_sizes_are_those_of_the_kernels() -> None:
    for name in ("TILE_ROWS", "STEP_BYTES", "BLOCK_STEPS", "MAX_INDEX_BITS"):
        assert getattr(layout, name) == getattr(w4a8, name)


def test_planes_start_at_a_cache_line() -> None:
    linear = random_linear(np.random.default_rng(0), 7, 96, Pattern(2, 4), 4, 32)
    tiled = layout.tile_linear(linear)
    assert tiled.planes.ctypes.data % 64 == 0 and layout.duplicate(tiled).planes.ctypes.data % 64 == 0


@pytest.mark.parametrize(
    ("text", "group_size", "reason"),
    [
        ("2:4", 64, None), ("1:1", 7, None), ("4:8", 64, None), ("3:7", 28, None), ("8:16", 64, None),
        ("3:7", 64, "windows of 7 straddle groups of 64"),
        ("1:16", 64, "four kept weights of 1:16 span 64 activations, more than the 16 that one selection chooses from"),
        ("3:12", 48, "four kept weights of 3:12 span 24 activations, more than the 16 that one selection chooses from"),
    ],
)  # fmt: skip
def test_reason_for_storing_zeros(text: str, group_size: int, reason: str | None) -> None:
    assert layout.unpackable_reason(Pattern.parse(text), group_size) == reason


def test_a_wider_gather_packs_wider_windows() -> None:
    assert layout.unpackable_reason(Pattern(1, 16), 64, 64) is None
    assert layout.unpackable_reason(Pattern(3, 12), 48, 64) is None
    assert "need indices wider than 4 bits" in str(layout.unpackable_reason(Pattern(3, 32), 64, 64))
    linear = random_linear(np.random.default_rng(0), 20, 1024, Pattern(1, 8), 4, 64)
    back = layout.untile(layout.tile_linear(linear, 64))
    assert layout.tile_linear(linear, 64).planes.nbytes * 4 < layout.tile_linear(linear).planes.nbytes
    np.testing.assert_array_equal(back.codes, linear.codes)
    np.testing.assert_array_equal(back.keep_mask, linear.keep_mask)


def test_partial_sums_end_within_eight_steps_and_at_groups() -> None:
    steps = layout.plan_steps(Pattern(2, 4), 84, 168)  # 42 kept, 11 steps a group, 22 steps, 2 of padding
    assert steps.segment_end.tolist() == [8, 11, 19, 22, 24]
    assert steps.segment_group.tolist() == [0, 0, 1, 1, 1]
