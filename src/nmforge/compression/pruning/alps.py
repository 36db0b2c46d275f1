"""ALPS: mask and weights of a layer together, by operator splitting (Meng et al. 2024, arXiv 2406.07831).

To be found is the layer W with the pattern that is closest in its outputs to the given V: the minimum of
|| (W - V) X ||^2, with H = X X^T the (damped) Gram matrix. W is split in two, a free one and one with the pattern, D.
A growing penalty rho holds them together, and what the pattern drops, u, is carried into the next round (the scaled
form of Boyd et al. 2011, section 3.1.1):

    W = V + (D - u - V) B           the free weights, B = rho (H + rho I)^-1
    D = keep the largest of each window of W + u
    u = W + u - D

Inputs are scaled first so that H has a unit diagonal: a weight then counts by what it does to the outputs, and one
range of rho serves every layer. B is no larger than the identity and its factor is a difference, so bf16 numbers do for
the products. Last, the kept weights are fitted, by conjugate gradients. Arrays are held transposed, K first, so that
weights of one window are compared a row at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmforge.compression.pruning.masks import keep_largest_columns
from nmforge.compression.pruning.registry import REGISTRY, Pruned, Pruner
from nmforge.core.lazy import torch
from nmforge.linalg.bf16 import add_products
from nmforge.linalg.hessian import damped_inverse

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.layer_group import LayerGroup
    from nmforge.core.formats import Pattern

DAMPING = 0.01  # share of the mean of H's diagonal that is added to it, as in GPTQ
PENALTIES = (0.2, 0.3, 0.46, 0.7)  # rho, against a unit diagonal; an inverse is made for each
ITERATIONS = 4  # at each penalty
REFIT_ITERATIONS = 3


def prune(group: LayerGroup) -> Pruned:
    """Mask and weights by ALPS."""
    return alps(group.weight, group.stats.gram, group.pattern, group.name)


def alps(weight: Tensor, gram: Tensor, pattern: Pattern, where: str) -> Pruned:
    """V float32[N, K] and the Gram matrix float32[K, K] of its inputs -> weights that make up for those pruned.

    Rows are solved independently of each other. Raises NmforgeError naming `where` on a Gram matrix that is not
    finite.
    """
    wanted, normal, scale = scaled_problem(weight, gram)
    kept, sparse = split(wanted, normal, pattern, where)
    return unscaled(refit(wanted, normal, kept, sparse), kept, scale)


def scaled_problem(weight: Tensor, gram: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights [K, N], matrix [K, K] and scale [K], all float32: inputs scaled so that the diagonal is 1."""
    normal, scale = unit_diagonal(gram)
    return (torch.where(gram.diagonal() == 0, 0.0, weight) * scale).T.contiguous(), normal, scale


def unscaled(sparse: Tensor, kept: Tensor, scale: Tensor) -> Pruned:
    """Scaled weights and mask, both [K, N] -> the layer's."""
    return Pruned((sparse / scale[:, None]).T.contiguous(), kept.T.contiguous())


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
    """Scaled weights float32[K, N] and matrix -> mask bool[K, N] and scaled weights with that mask."""
    proposed, step = wanted.clone(), torch.empty_like(wanted)
    kept = keep_largest_columns(proposed.abs(), pattern)
    sparse = proposed * kept
    dropped, before = proposed.zero_(), PENALTIES[0]
    for rho in PENALTIES:
        pull = damped_inverse(normal, rho, where).mul_(rho)
        dropped.mul_(before / rho)  # the multipliers rho u stay as they are
        before = rho
        for _ in range(ITERATIONS):
            start = dropped.add_(wanted)
            proposed = add_products(start, pull, torch.sub(sparse, start, out=step))
            kept = keep_largest_columns(torch.abs(proposed, out=step), pattern)
            torch.mul(proposed, kept, out=sparse)
            dropped = proposed.sub_(sparse)
        del pull  # at K = 11008 half a gigabyte, and the next takes two of them
    return kept, sparse


def refit(wanted: Tensor, normal: Tensor, kept: Tensor, start: Tensor) -> Tensor:
    """The kept weights float32[K, N] toward the least (w - v)^T H (w - v), each column by conjugate gradients.

    A column stays as it is along a direction in which rounded products show no curvature.
    """
    found = start.clone()
    residual = _times(normal, wanted - found, kept)
    direction, size = residual.clone(), residual.square().sum(dim=0)
    for _ in range(REFIT_ITERATIONS):
        change = _times(normal, direction, kept)
        curvature = (direction * change).sum(dim=0)
        length = torch.where(curvature > 0, size / curvature, 0.0)
        found.addcmul_(direction, length)
        residual.addcmul_(change, length, value=-1)
        before, size = size, residual.square().sum(dim=0)
        direction.mul_(torch.where(before > 0, size / before, 0.0)).add_(residual)
    return found


def _times(normal: Tensor, columns: Tensor, kept: Tensor) -> Tensor:
    """normal columns, where kept."""
    return add_products(torch.zeros_like(columns), normal, columns).mul_(kept)


REGISTRY.add(Pruner("alps", "solves for mask and weights together", prune, calibrated=True))
