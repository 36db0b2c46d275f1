"""Wanda: score |w[n, k]| * ||x_k||_2 (Sun et al. 2023, arXiv 2306.11695, equation 1)."""

from __future__ import annotations

from torch import Tensor

from nmforge.compression.calibration.statistics import InputStats
from nmforge.compression.pruning.masks import keep_largest
from nmforge.core.formats import Pattern


def wanda(weight: Tensor, stats: InputStats | None, pattern: Pattern) -> Tensor:
    """float32[N, K] and the norms of the inputs -> keep_mask bool[N, K]."""
    if stats is None:
        raise ValueError("wanda needs input statistics")
    return keep_largest(weight.abs() * stats.sum_of_squares.sqrt(), pattern)
