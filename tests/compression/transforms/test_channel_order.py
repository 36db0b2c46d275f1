"""Orders of input channels against the best of all."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from nmforge.compression.transforms.permute import channel_order
from nmforge.core.formats import Pattern
from nmforge.models.llama import InputGroups


def retained(score: np.ndarray, order: Sequence[int], pattern: Pattern) -> float:
    """What the largest weights of every window hold once the columns are in this order."""
    windows = np.sort(score[:, order].reshape(len(score), -1, pattern.window))
    return float(windows[:, :, pattern.window - pattern.keep :].sum())


@pytest.mark.parametrize("text", ["2:4", "1:4", "3:4"])
def test_the_order_of_a_few_channels_is_close_to_the_best_of_all(text: str) -> None:
    pattern, score = Pattern.parse(text), torch.rand(6, 8, generator=torch.Generator().manual_seed(41))
    score[:, :4] *= 5  # the first window cannot keep what it should
    halves = (half for half in itertools.combinations(range(8), 4) if 0 in half)
    orders = ([*half, *(c for c in range(8) if c not in half)] for half in halves)
    best = max(retained(score.numpy(), order, pattern) for order in orders)
    as_it_was, found = retained(score.numpy(), range(8), pattern), channel_order(score, pattern, InputGroups(8))
    assert retained(score.numpy(), found.inputs.tolist(), pattern) >= as_it_was + 0.95 * (best - as_it_was)
    assert best > as_it_was
    assert torch.equal(found.inputs, found.writers)


def test_an_order_is_found_on_the_cpu_wherever_new_tensors_go() -> None:
    score = torch.rand(6, 16, generator=torch.Generator().manual_seed(1))
    here = channel_order(score, Pattern(2, 4), InputGroups(8))
    with torch.device("meta"):
        found = channel_order(score, Pattern(2, 4), InputGroups(8))
    assert torch.equal(found.inputs, here.inputs)
    assert torch.equal(found.writers, here.writers)


def test_channels_stay_in_their_heads_and_heads_of_one_writer_move_alike() -> None:
    score = (
        torch.rand(5, 48, generator=torch.Generator().manual_seed(42)) ** 4
    )  # two key-value heads of 8, three readers
    found = channel_order(score, Pattern(2, 4), InputGroups(8, 3))
    assert sorted(found.writers.tolist()) == list(range(16))
    assert [c // 8 for c in found.writers.tolist()] == [0] * 8 + [1] * 8
    heads = found.inputs.view(6, 8)
    for head in range(6):
        assert torch.equal(heads[head] - 8 * head, found.writers.view(2, 8)[head // 3] % 8)
    assert retained(score.numpy(), found.inputs.tolist(), Pattern(2, 4)) > retained(
        score.numpy(), list(range(48)), Pattern(2, 4)
    )
