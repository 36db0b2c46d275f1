"""Magnitude pruning: keep the largest |w| of each window (Han et al. 2015; the recipe of arXiv 2512.24713)."""

from __future__ import annotations

from torch import Tensor

from nmforge.compression.calibration.statistics import InputStats
from nmforge.compression.pruning.masks import keep_largest
from nmforge.core.formats import Pattern


def magnitude(weight: Tensor, _stats: InputStats | None, pattern: Pattern) -> Tensor:
    """float32[N, K] -> keep_mask bool[N, K]."""
    return keep_largest(weight.abs(), pattern)
