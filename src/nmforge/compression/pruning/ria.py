"""RIA: relative importance and activations (Zhang et al. 2024, "Plug-and-Play", ICLR 2024, equations 3 and 4).

score[n, k] = (|w[n, k]| / sum_k |w[n, :]| + |w[n, k]| / sum_n |w[:, k]|) * ||x_k||_2 ^ 0.5

A weight counts relative to its row and its column, so no channel loses all of its weights.
"""

from __future__ import annotations

from torch import Tensor

from nmforge.compression.calibration.statistics import InputStats
from nmforge.compression.pruning.masks import keep_largest
from nmforge.core.formats import Pattern

ACTIVATION_POWER = 0.5


def ria(weight: Tensor, stats: InputStats | None, pattern: Pattern) -> Tensor:
    """float32[N, K] and the norms of the inputs -> keep_mask bool[N, K]."""
    if stats is None:
        raise ValueError("ria needs input statistics")
    magnitude = weight.abs()
    rows, columns = magnitude.sum(dim=1, keepdim=True), magnitude.sum(dim=0, keepdim=True)
    relative = magnitude / rows.clamp(min=1e-30) + magnitude / columns.clamp(min=1e-30)
    norms = stats.sum_of_squares.sqrt()
    return keep_largest(relative * norms**ACTIVATION_POWER, pattern)
