"""Wanda: score |w[n, k]| * ||x_k||_2 (Sun et al. 2023, arXiv 2306.11695, equation 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmforge.compression.pruning.masks import by_score
from nmforge.compression.pruning.registry import REGISTRY, Pruner

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.calibration.statistics import InputStats


def wanda_score(weight: Tensor, stats: InputStats) -> Tensor:
    """float32[N, K] and the norms of the inputs -> score [N, K]."""
    return weight.abs() * stats.sum_of_squares.sqrt()


REGISTRY.add(Pruner("wanda", "weighs |w| by the norm of its input", by_score(wanda_score), calibrated=True))
