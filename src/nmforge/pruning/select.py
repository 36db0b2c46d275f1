"""Keep the best-scored weights of each window."""

from __future__ import annotations

import torch
from torch import Tensor

from nmforge.spec import Pattern


def keep_largest(score: Tensor, pattern: Pattern) -> Tensor:
    """Scores [N, K] -> bool[N, K] with the `keep` largest of each window of `of`; the earlier weight wins a tie."""
    windows = score.reshape(score.shape[0], -1, pattern.of)
    best = windows.argsort(dim=2, descending=True, stable=True)[..., : pattern.keep]
    return torch.zeros_like(windows, dtype=torch.bool).scatter_(2, best, True).reshape(score.shape)
