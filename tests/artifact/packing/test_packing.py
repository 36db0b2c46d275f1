"""Codecs against oracles that share no code with them: Python integers for bits, enumeration for ranks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmforge.artifact.format import pack_linear, unpack_linear
from nmforge.artifact.packing.bits import pack_bits, packed_bytes, unpack_bits
from nmforge.artifact.packing.enumerative import block_windows, rank_masks, row_bytes, unrank_masks
from nmforge.artifact.packing.registry import REGISTRY as INDEX_ENCODINGS
from nmforge.core.compressed_linear import random_linear
from nmforge.core.formats import Pattern

PATTERNS = ["2:4", "4:8", "1:4", "2:6", "3:7", "1:32", "16:32", "31:32", "1:2", "3:9"]


def bits_by_hand(row: list[int], bits: int) -> bytes:
    """The row as one little-endian integer."""
    total = sum((value % (1 << bits)) << (i * bits) for i, value in enumerate(row))
    return total.to_bytes((len(row) * bits + 7) // 8, "little")


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(0, 40), st.integers(1, 4), st.data())
def test_pack_bits_is_the_little_endian_integer(bits: int, columns: int, rows: int, data: st.DataObject) -> None:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    row = st.lists(st.integers(low, high), min_size=columns, max_size=columns)
    values = data.draw(st.lists(row, min_size=rows, max_size=rows))
    packed = pack_bits(np.array(values, dtype=np.int64).reshape(rows, columns), bits)
    assert packed.shape == (rows, packed_bytes(columns, bits))
    assert [row.tobytes() for row in packed] == [bits_by_hand(row, bits) for row in values]
    assert unpack_bits(packed, bits, columns, signed=True).tolist() == values


def test_known_nibbles() -> None:
    assert pack_bits(np.array([[1, -8, 7]]), 4).tolist() == [[0x81, 0x07]]


@pytest.mark.parametrize("text", ["2:4", "1:4", "3:7", "4:8"])
def test_ranks_count_every_mask_once_in_colexicographic_order(text: str) -> None:
    pattern = Pattern.parse(text)
    kept = sorted(itertools.combinations(range(pattern.window), pattern.keep), key=lambda c: c[::-1])
    masks = np.array([[i in choice for i in range(pattern.window)] for choice in kept])
    ranks = rank_masks(masks, pattern)
    assert ranks[:, 0].tolist() == list(range(pattern.mask_count))
    assert (unrank_masks(ranks, pattern) == masks).all()


def test_enumerative_cost_of_2of4() -> None:
    pattern = Pattern(2, 4)
    assert block_windows(pattern) == 17
    assert (6**17 - 1).bit_length() == 44
    assert row_bytes(4 * 17, pattern) == 6  # 44 bits
    assert row_bytes(4 * 18, pattern) == 6  # 44 + 3 bits
    assert row_bytes(4 * 20, pattern) == 7  # 44 + 8 bits


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(PATTERNS), st.integers(1, 5), st.integers(1, 40), st.sampled_from([3, 4, 8]),
    st.sampled_from(INDEX_ENCODINGS.names()), st.integers(0, 2**32 - 1), st.booleans(),
)  # fmt: skip
def test_a_layer_survives_packing(
    text: str, n: int, windows: int, bits: int, encoding: str, seed: int, sparse_codes: bool
) -> None:
    pattern = Pattern.parse(text)
    k = windows * pattern.window
    linear = random_linear(np.random.default_rng(seed), n, k, pattern, bits, group_size=k)
    if sparse_codes:  # windows with fewer than `keep` nonzeros: the mask must not be guessed from the codes
        linear.codes[:, ::2] = 0
    parts = pack_linear(linear, encoding)
    assert parts["codes"].nbytes == n * packed_bytes(windows * pattern.keep, bits)
    assert parts["indices"].nbytes == n * INDEX_ENCODINGS.get(encoding).row_bytes(k, pattern)
    back = unpack_linear(parts, pattern, bits, k, encoding)
    assert (back.codes == linear.codes).all()
    assert (back.keep_mask == linear.keep_mask).all()
    assert (back.group_mult == linear.group_mult).all()
    assert (back.row_scale == linear.row_scale).all()
