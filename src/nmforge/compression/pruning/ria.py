"""RIA: relative importance and activations (Zhang et al. 2024, "Plug-and-Play", ICLR 2024, equations 3 and 4).

score[n, k] = (|w[n, k]| / sum_k |w[n, :]| + |w[n, k]| / sum_n |w[:, k]|) * ||x_k||_2 ^ 0.5

A weight counts relative to its row and its column, so no channel loses all of its weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmforge.compression.pruning.masks import by_score
from nmforge.compression.pruning.registry import REGISTRY, Pruner

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.calibration.statistics import InputStats

ACTIVATION_POWER = 0.5


def ria_score(weight: Tensor, stats: InputStats) -> Tensor:
    """float32[N, K] of one layer and the norms of the inputs -> score [N, K]."""
    magnitude = weight.abs()
    rows, columns = magnitude.sum(dim=1, keepdim=True), magnitude.sum(dim=0, keepdim=True)
    relative = magnitude / rows.clamp(min=1e-30) + magnitude / columns.clamp(min=1e-30)
    return relative * stats.sum_of_squares.sqrt() ** ACTIVATION_POWER


REGISTRY.add(
    Pruner(
        "ria", "weighs |w| relative to its row and column by its input's norm", by_score(ria_score), calibrated=True,
        reads_magnitude=True,
    )
)  # fmt: skip
