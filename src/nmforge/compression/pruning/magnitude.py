"""Magnitude pruning: keep the largest |w| of each window (Han et al. 2015; the recipe of arXiv 2512.24713)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmforge.compression.pruning.masks import by_score
from nmforge.compression.pruning.registry import REGISTRY, Pruner

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.calibration.statistics import InputStats


def magnitude_score(weight: Tensor, _stats: InputStats) -> Tensor:
    """float32[N, K] -> score [N, K]."""
    return weight.abs()


REGISTRY.add(Pruner("magnitude", "keeps the largest weights", by_score(magnitude_score), reads_magnitude=True))
