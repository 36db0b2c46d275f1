"""Swaps in a mask, against every swap there is, computed one by one in float64."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from nmforge.compression.pruning.alps import alps, scaled_problem, unit_diagonal
from nmforge.compression.pruning.alps_swaps import alps_swaps, swap_best, sweep
from nmforge.compression.pruning.masks import keep_largest_columns
from nmforge.core.formats import Pattern

Found = tuple[float, int, int, float]  # error left, which leaves, which enters, its value


def problem(k: int = 16, n: int = 24, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights float32[N, K] and the Gram matrix of correlated inputs."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(200, k, generator=generator) @ torch.randn(k, k, generator=generator)
    return torch.randn(n, k, generator=generator), x.T @ x


def error(wanted: np.ndarray, found: np.ndarray, normal: np.ndarray) -> float:
    """(w - v)^T H (w - v)."""
    return float((found - wanted) @ normal @ (found - wanted))


def best_swap(wanted: np.ndarray, normal: np.ndarray, kept: np.ndarray, sparse: np.ndarray, window: range) -> Found:
    """Of all swaps in a window the one that leaves least, its value found by one linear equation."""
    found = []
    for i, j in itertools.product(window, window):
        if kept[i] and not kept[j]:
            without = sparse.copy()
            without[i] = 0
            value = normal[j] @ (wanted - without) / normal[j, j]
            without[j] = value
            found.append((error(wanted, without, normal), i, j, float(value)))
    return min(found)


@pytest.mark.parametrize("text", ["2:4", "1:4", "3:4", "4:8"])
def test_the_best_swap_of_a_window_is_the_best_of_all(text: str) -> None:
    pattern = Pattern.parse(text)
    wanted, normal, _ = scaled_problem(*problem())
    kept = keep_largest_columns(torch.rand(wanted.shape, generator=torch.Generator().manual_seed(2)), pattern)
    sparse = wanted * kept
    v, h, start, mask = (t.double().numpy().copy() for t in (wanted, normal, sparse, kept))
    gradient, window, swapped = normal @ (wanted - sparse), slice(0, pattern.window), 0
    change = swap_best(normal[window, window], gradient[window], kept[window], sparse[window])
    assert torch.allclose(torch.from_numpy(start[window]).float() + change, sparse[window])
    for n in range(wanted.shape[1]):
        left, leaves, enters, value = best_swap(v[:, n], h, mask[:, n], start[:, n], range(pattern.window))
        if left >= error(v[:, n], start[:, n], h):
            assert (sparse[:, n].double().numpy() == start[:, n]).all()
            continue
        swapped += 1
        assert not kept[leaves, n] and kept[enters, n]
        assert sparse[enters, n] == pytest.approx(value, rel=1e-4, abs=1e-5)
        assert kept[:, n].sum() == mask[:, n].sum()
    assert swapped > 3


def test_a_weight_that_is_better_gone_makes_no_room_for_an_input_that_was_never_active() -> None:
    """Weight 0 is worse than none (G_0 = -w_0). Input 3 is dead; the best value of 2 is 0 at first, then 0.1."""
    normal = torch.eye(4)
    normal[0, 2] = normal[2, 0] = 0.1
    kept = torch.tensor([[True], [True], [False], [False]])
    sparse, gradient = torch.tensor([[1.0], [1.0], [0.0], [0.0]]), torch.tensor([[-1.0], [0.0], [-0.1], [0.0]])
    swap_best(normal, gradient, kept, sparse)
    assert kept[:, 0].tolist() == [True, True, False, False]
    gradient[2] = 0.0
    swap_best(normal, gradient, kept, sparse)
    assert kept[:, 0].tolist() == [False, True, True, False]
    assert sparse[2, 0] == pytest.approx(0.1)


def test_sweeps_end_where_no_swap_gains_anything() -> None:
    pattern = Pattern(2, 4)
    wanted, normal, _ = scaled_problem(*problem(k=160))
    kept = keep_largest_columns(wanted.abs(), pattern)
    sparse = wanted * kept
    v, h = wanted.double().numpy(), normal.double().numpy()
    errors = []
    for _ in range(30):
        errors.append([error(v[:, n], sparse[:, n].double().numpy(), h) for n in range(v.shape[1])])
        sweep(wanted, normal, pattern, kept, sparse)
    assert (np.diff(np.array(errors), axis=0) <= 1e-3 * np.array(errors[:-1])).all()
    assert (kept.reshape(-1, 4, v.shape[1]).sum(dim=1) == 2).all()
    assert (sparse[~kept] == 0).all()
    mask, found = kept.numpy(), sparse.double().numpy()
    for n, start in itertools.product(range(v.shape[1]), range(0, len(v), 4)):
        left = best_swap(v[:, n], h, mask[:, n], found[:, n], range(start, start + 4))[0]
        assert left > (1 - 5e-3) * error(v[:, n], found[:, n], h)


def test_refined_masks_leave_less_error_than_those_they_start_from() -> None:
    weight, gram = problem(k=64, n=40)
    normal, scale = unit_diagonal(gram)
    errors = []
    for solve in (alps, alps_swaps):
        found = solve(weight, gram, Pattern(2, 4), "w")
        assert (found.weight[~found.keep_mask] == 0).all()
        apart = ((found.weight - weight) * scale).double()
        errors.append(((apart @ normal.double()) * apart).sum(dim=1))
    assert (errors[1] <= 1.01 * errors[0]).all()
    assert errors[1].sum() < 0.995 * errors[0].sum()
