"""Keep the best-scored weights of each window."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nmforge.compression.pruning.registry import Pruned
from nmforge.core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.calibration.statistics import InputStats
    from nmforge.compression.layer_group import LayerGroup
    from nmforge.core.formats import Pattern

COMPARED_UP_TO = 8  # wider windows are sorted: comparing every pair costs more


def by_score(score: Callable[[Tensor, InputStats], Tensor]) -> Callable[[LayerGroup], Pruned]:
    """A pruner that keeps the weights of the largest score and leaves them as they are.

    score: (weight float32[N, K] of one layer, statistics of its inputs) -> [N, K].
    """

    def prune(group: LayerGroup) -> Pruned:
        masks = [keep_largest(score(weight, group.stats), group.pattern) for weight in group.layers()]
        return Pruned(group.weight, torch.cat(masks))

    return prune


def keep_largest(score: Tensor, pattern: Pattern) -> Tensor:
    """Scores [N, K] -> bool[N, K] with the `keep` largest of each window of `window`; the earlier weight wins a tie."""
    return keep_largest_columns(score.T, pattern).T


def keep_largest_columns(score: Tensor, pattern: Pattern) -> Tensor:
    """The same for scores held K first: [K, N] -> bool[K, N]."""
    windows = score.reshape(-1, pattern.window, score.shape[1])
    places = places_by_comparison(windows) if pattern.window <= COMPARED_UP_TO else places_by_sorting(windows)
    return (places < pattern.keep).reshape(score.shape)


def places_by_comparison(windows: Tensor) -> Tensor:
    """Rank of each score in its window, 0 = largest, by comparing pairs: [W, window, N] -> int8[W, window, N]."""
    window = windows.shape[1]
    places = torch.zeros(windows.shape, dtype=torch.int8, device=windows.device)
    for i in range(window - 1):
        wins = windows[:, i : i + 1] >= windows[:, i + 1 :]
        places[:, i + 1 :] += wins
        places[:, i] += (window - 1 - i) - wins.sum(dim=1, dtype=torch.int8)
    return places


def places_by_sorting(windows: Tensor) -> Tensor:
    """The same by a stable sort and its inverse."""
    return windows.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
