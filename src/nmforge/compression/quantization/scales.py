"""The two-level scale: step[n, g] = group_mult[n, g] * row_scale[n], group_mult an integer in 1..127."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nmforge.core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.core.formats import QuantScheme

MULTIPLIER_MAX = 127
CLIPPED_RANGES = (1.0, 0.9, 0.8, 0.7, 0.6)  # shares of a group's largest magnitude that its codes may span


class Quantized(NamedTuple):
    """codes int8[N, K], keep_mask bool[N, K], group_mult uint8[N, K / G], row_scale float32[N]."""

    codes: Tensor
    keep_mask: Tensor
    group_mult: Tensor
    row_scale: Tensor


def mask_or_all(keep_mask: Tensor | None, weight: Tensor) -> Tensor:
    """The mask bool[N, K]; where there is none, every weight [N, K] is kept."""
    return torch.ones_like(weight, dtype=torch.bool) if keep_mask is None else keep_mask


def group_absmax(weight: Tensor, group_size: int) -> Tensor:
    """Largest magnitude of each group: [N, K] -> [N, K / G]."""
    return weight.abs().reshape(weight.shape[0], -1, group_size).amax(dim=2)


def row_scales(absmax: Tensor, scheme: QuantScheme, headroom: float = 1.0) -> Tensor:
    """float32[N] such that the widest group of a row, grown by `headroom`, still has a multiplier of at most 127."""
    scale = absmax.amax(dim=1) * headroom / (scheme.code_max * MULTIPLIER_MAX)
    return torch.where(scale > 0, scale, torch.ones_like(scale)).float()


def multipliers(absmax: Tensor, row_scale: Tensor, scheme: QuantScheme) -> Tensor:
    """Nearest integer multipliers, float [N, groups] with values 1..127."""
    wanted = absmax / (scheme.code_max * row_scale[:, None])
    return wanted.round().clamp(1, MULTIPLIER_MAX)


def to_codes(weight: Tensor, step: Tensor, scheme: QuantScheme) -> Tensor:
    """Nearest code, half to even, clipped to the code range; float, same shape as `weight`."""
    return (weight / step).round_().clamp_(scheme.code_min, scheme.code_max)


def search_multipliers(columns: Tensor, importance: Tensor, row_scale: Tensor, scheme: QuantScheme) -> Tensor:
    """Multipliers of one group, float [N]: of CLIPPED_RANGES, each row takes the one of least weighted square error.

    columns: [G, N], the group's weights, 0 where pruned. importance: [G, 1], what a unit of square error costs.
    """
    absmax = columns.abs().amax(dim=0)
    least, chosen = torch.full_like(absmax, torch.inf), torch.ones_like(absmax)
    for ratio in CLIPPED_RANGES:
        mult = multipliers(ratio * absmax[:, None], row_scale, scheme)[:, 0]
        step = mult * row_scale
        wrong = torch.addcmul(columns, to_codes(columns, step, scheme), step, value=-1)
        error = wrong.square_().mul_(importance).sum(dim=0)
        chosen = torch.where(error < least, mult, chosen)
        least = torch.minimum(error, least)
    return chosen
