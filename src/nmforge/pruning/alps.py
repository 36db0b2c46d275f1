"""ALPS: mask and weights of a layer together, by operator splitting (Meng et al. 2024, arXiv 2406.07831).

To be found is the layer W with the pattern that is closest in its outputs to the given V: the minimum of
|| (W - V) X ||^2, with H = X X^T the (damped) Gram matrix. W is split in two, a free one and one with the pattern, D,
held together by multipliers U and a growing penalty rho:

    W = (H V - U + rho D) (H + rho I)^-1          the free weights
    D = keep the largest of each window of W + U / rho
    U = U + rho (W - D)

Inputs are scaled first so that H has a unit diagonal: a weight then counts by what it does to the outputs, and one
range of rho serves every layer. Last, the kept weights are fitted exactly, by conjugate gradients.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nmforge.gram import inverse_factor
from nmforge.pruning.select import keep_largest
from nmforge.spec import Pattern

DAMPING = 0.01  # share of the mean of H's diagonal that is added to it, as in GPTQ
PENALTIES = (0.05, 0.11, 0.26, 0.58, 1.3, 3.0)  # rho, against a unit diagonal; an inverse is made for each
ITERATIONS = 4  # at each penalty
REFIT_ITERATIONS = 8


class Pruned(NamedTuple):
    """weight: float32[N, K], 0 where pruned. keep_mask: bool[N, K], True = kept."""

    weight: Tensor
    keep_mask: Tensor


def alps(weight: Tensor, gram: Tensor, pattern: Pattern, where: str) -> Pruned:
    """V float32[N, K] and the Gram matrix float32[K, K] of its inputs -> weights that make up for those pruned.

    Rows are solved independently of each other. Raises NmforgeError naming `where` on a Gram matrix that is not
    finite.
    """
    normal, scale = unit_diagonal(gram)
    wanted = torch.where(gram.diagonal() == 0, 0.0, weight) * scale
    kept, sparse = split(wanted, normal, pattern, where)
    return Pruned(refit(wanted, normal, kept, sparse) / scale, kept)


def unit_diagonal(gram: Tensor) -> tuple[Tensor, Tensor]:
    """The damped matrix float32[K, K] scaled to a unit diagonal, and the scale float32[K] of each input.

    An input that was never active counts as one of mean square 1 that is uncorrelated with the others.
    """
    diagonal = gram.diagonal() + (gram.diagonal() == 0).to(gram.dtype)
    scale = (diagonal + DAMPING * diagonal.mean()).sqrt()
    normal = gram / scale[:, None] / scale
    normal.fill_diagonal_(1)
    return normal, scale


def split(wanted: Tensor, normal: Tensor, pattern: Pattern, where: str) -> tuple[Tensor, Tensor]:
    """Scaled weights float32[N, K] and matrix -> mask bool[N, K] and scaled weights with that mask."""
    target = wanted @ normal
    kept = keep_largest(wanted.abs(), pattern)
    sparse, multiplier = wanted * kept, torch.zeros_like(wanted)
    for rho in PENALTIES:
        factor = inverse_factor(normal, where, (rho,))  # (normal + rho I)^-1 = factor^T factor
        inverse = factor.T @ factor
        for _ in range(ITERATIONS):
            free = (target - multiplier + rho * sparse) @ inverse
            proposed = free + multiplier / rho
            kept = keep_largest(proposed.abs(), pattern)
            sparse = proposed * kept
            multiplier += rho * (free - sparse)
    return kept, sparse


def refit(wanted: Tensor, normal: Tensor, kept: Tensor, start: Tensor) -> Tensor:
    """The kept weights that minimise (w - v) H (w - v)^T, each row by REFIT_ITERATIONS of conjugate gradients."""
    found = start.clone()
    residual = ((wanted - found) @ normal) * kept
    direction, size = residual.clone(), residual.square().sum(dim=1, keepdim=True)
    for _ in range(REFIT_ITERATIONS):
        change = (direction @ normal) * kept
        length = size / (direction * change).sum(dim=1, keepdim=True).clamp(min=torch.finfo(size.dtype).tiny)
        found += length * direction
        residual -= length * change
        before, size = size, residual.square().sum(dim=1, keepdim=True)
        direction = residual + direction * (size / before.clamp(min=torch.finfo(size.dtype).tiny))
    return found
