"""Gram matrices H = X X^T of a layer's inputs: reordered, damped and factored in little memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nmforge.core.errors import NmforgeError
from nmforge.core.lazy import torch
from nmforge.io.progress import note

if TYPE_CHECKING:
    from torch import Tensor

DAMPINGS = (0.01, 0.1, 1.0)  # shares of the mean of the diagonal, tried in turn
COPIED = 1024  # rows or columns of a Gram matrix or its factor at once


def permuted(gram: Tensor, order: Tensor) -> Tensor:
    """gram[order][:, order], COPIED rows at a time: at K = 11008 a whole copy is half a gigabyte."""
    found = torch.empty_like(gram)
    for first in range(0, len(order), COPIED):
        found[first : first + COPIED] = gram[order[first : first + COPIED]][:, order]
    return found


def damped_inverse(gram: Tensor, damping: float, where: str) -> Tensor:
    """(gram + damping I)^-1, float32[K, K]. Raises NmforgeError naming `where` where there is none."""
    damped = gram.clone()
    damped.diagonal().add_(damping)
    lower, failed = torch.linalg.cholesky_ex(damped)
    del damped
    if failed or not torch.isfinite(lower).all():
        raise NmforgeError(f"{where}: its Gram matrix plus {damping:g} stays singular; calibrate on more tokens")
    return torch.cholesky_inverse(lower)


def inverse_factor(gram: Tensor, where: str, dampings: Sequence[float] = DAMPINGS) -> Tensor:
    """Upper Cholesky factor of (gram + damping)^-1; an input that was never active gets a unit pivot.

    dampings: shares of the mean of the diagonal, tried in turn; where a matrix is singular at one, a line on stderr
    says so and the next is taken. Two copies of `gram` are held at the most.
    """
    diagonal = gram.diagonal()
    filled = diagonal + (diagonal == 0).to(gram.dtype)
    flipped = gram.flip(0, 1)
    mean = flipped.diagonal().copy_(filled).mean()  # summed in place: a contiguous sum differs in its last bit
    for damping in dampings:
        flipped.diagonal().copy_((filled + damping * mean).flip(0))
        lower, failed = torch.linalg.cholesky_ex(flipped)
        if not failed and torch.isfinite(lower).all():
            upper = lower.flip(0, 1)  # damped = upper upper^T, so damped^-1 = upper^-T upper^-1
            del flipped, lower
            return _invert_upper(upper)
        note(f"nmforge: {where}: its Gram matrix is singular at damping {damping:g}")
    raise NmforgeError(f"{where}: its Gram matrix stays singular; calibrate on more tokens")


def _invert_upper(upper: Tensor) -> Tensor:
    """Inverse of an upper triangular matrix, in place: the last columns first, since a column needs none after it."""
    for first in reversed(range(0, len(upper), COPIED)):
        last = min(first + COPIED, len(upper))
        unit = torch.zeros(last, last - first, dtype=upper.dtype, device=upper.device)
        unit[first:].fill_diagonal_(1)
        upper[:last, first:last] = torch.linalg.solve_triangular(upper[:last, :last], unit, upper=True)
    return upper
