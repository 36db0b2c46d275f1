"""Keep the best-scored weights of each window."""

from __future__ import annotations

import torch
from torch import Tensor

from nmforge.core.formats import Pattern

COMPARED_UP_TO = 8  # wider windows are sorted: comparing every pair costs more


def keep_largest(score: Tensor, pattern: Pattern) -> Tensor:
    """Scores [N, K] -> bool[N, K] with the `keep` largest of each window of `window`; the earlier weight wins a tie."""
    return keep_largest_columns(score.T, pattern).T


def keep_largest_columns(score: Tensor, pattern: Pattern) -> Tensor:
    """The same for scores held K first: [K, N] -> bool[K, N]."""
    windows = score.reshape(-1, pattern.window, score.shape[1])
    places = _places_by_comparison(windows) if pattern.window <= COMPARED_UP_TO else _places_by_sorting(windows)
    return (places < pattern.keep).reshape(score.shape)


def _places_by_comparison(windows: Tensor) -> Tensor:
    """Rank of each score in its window, 0 = largest, by comparing pairs: [W, window, N] -> int8[W, window, N]."""
    window = windows.shape[1]
    places = torch.zeros(windows.shape, dtype=torch.int8, device=windows.device)
    for i in range(window - 1):
        wins = windows[:, i : i + 1] >= windows[:, i + 1 :]
        places[:, i + 1 :] += wins
        places[:, i] += (window - 1 - i) - wins.sum(dim=1, dtype=torch.int8)
    return places


def _places_by_sorting(windows: Tensor) -> Tensor:
    """The same by a stable sort and its inverse."""
    return windows.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
