"""ALPS against every mask of a layer small enough, solved exactly."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from factories.layers import correlated, stats_of

from nmforge.compression.pruning.alps import alps, refit
from nmforge.compression.pruning.alps_swaps import alps_swaps
from nmforge.compression.quantization.gptq import gptq
from nmforge.core.formats import Pattern, QuantScheme


def damped(gram: torch.Tensor) -> np.ndarray:
    """float64[K, K] with a hundredth of the mean of the diagonal added to it."""
    return np.asarray(gram.double() + 0.01 * gram.diagonal().double().mean() * torch.eye(len(gram)))


def best_on(kept: np.ndarray, w: np.ndarray, h: np.ndarray) -> float:
    """Error of the row that is closest to w with these kept: one linear system."""
    found = np.zeros(len(w))
    found[kept] = np.linalg.solve(h[np.ix_(kept, kept)], (h @ w)[kept])
    return float((found - w) @ h @ (found - w))


def masks_of(k: int, pattern: Pattern) -> list[np.ndarray]:
    """Every choice of kept columns that has the pattern, as column numbers."""
    windows = [itertools.combinations(range(f, f + pattern.window), pattern.keep) for f in range(0, k, pattern.window)]
    return [np.array(list(itertools.chain(*choice))) for choice in itertools.product(*windows)]


@pytest.mark.parametrize("text", ["2:4", "1:4", "3:4"])
def test_alps_comes_close_to_the_best_of_all_masks(text: str) -> None:
    pattern, k, rows = Pattern.parse(text), 12, 40
    weight = torch.randn(rows, k, generator=torch.Generator().manual_seed(31))
    gram = stats_of(correlated(400, k, seed=32)).gram
    found, h, excess = alps(weight, gram, pattern, "w"), damped(gram), []
    greedy = gptq(weight, gram, pattern, QuantScheme(8, k), None, "w").keep_mask
    for row in range(rows):
        w = weight[row].double().numpy()
        best = min(best_on(kept, w, h) for kept in masks_of(k, pattern))
        chosen, other = (best_on(np.flatnonzero(mask[row]), w, h) for mask in (found.keep_mask, greedy))
        apart = found.weight[row].double().numpy() - w
        assert chosen * (1 - 1e-6) <= apart @ h @ apart <= 1.02 * chosen
        excess.append([chosen / best - 1, other / best - 1])
    alps_excess, sparsegpt_excess = np.mean(excess, axis=0)
    assert alps_excess < 0.07
    assert alps_excess < 0.3 * sparsegpt_excess


@pytest.mark.parametrize("solve", [alps, alps_swaps])
def test_no_place_is_given_to_an_input_that_was_never_active(solve: Any) -> None:
    weight, x = torch.randn(6, 16, generator=torch.Generator().manual_seed(33)), correlated(64, 16)
    weight[:, 5], x[:, 5] = 100, 0
    found = solve(weight, stats_of(x).gram, Pattern(2, 4), "w")
    assert not found.keep_mask[:, 5].any()
    assert not found.weight[~found.keep_mask].any()


def test_weights_stay_finite_where_a_matrix_has_lost_its_curvature() -> None:
    rounded = torch.tensor([[1.0, 1.01], [1.01, 1.0]])  # a positive definite one, its entries rounded
    kept, start = torch.ones(2, 3, dtype=torch.bool), torch.tensor([[1.0, 2.0, 0.0], [-1.0, 2.0, 0.0]])
    found = refit(torch.zeros(2, 3), rounded, kept, start)
    assert torch.equal(found[:, [0, 2]], start[:, [0, 2]])
    assert found[:, 1].abs().max() < 1e-2
