"""Input channels scaled before they are rounded (AWQ, Lin et al. 2023, arXiv 2306.00978), at no cost at run time.

A layer y = W x is stored as W diag(s) and reads x / s, which whatever writes x provides: the normalization before
it, or the row scales of the layer that writes it. A channel with s > 1 takes more of its group's range, so its weights
are rounded more finely. As in the paper, s grows with a channel's activity: here it is (E[x^2] / mean)^(alpha / 2),
the mean being the geometric one of all active channels, and alpha is the one of ALPHAS whose rounded layer has the
least output error,

    tr (W' - W) H (W' - W)^T,    H = X X^T, W' = Q(W diag(s)) diag(s)^-1.

Factors are powers of two: norms stay bf16 numbers, and in mode W4A16 every product and sum of the model is what it was,
its exponent apart. Rounding is to nearest here; whichever quantizer follows works on the scaled layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from nmforge.compression.pruning.masks import keep_largest
from nmforge.compression.quantization.rtn import rtn
from nmforge.compression.transforms.input_change import ChannelFactors
from nmforge.compression.transforms.registry import REGISTRY, Transform
from nmforge.core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.layer_group import LayerGroup
    from nmforge.models.llama import InputGroups

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
LARGEST = 6  # exponent: a channel that is hardly active in the calibration text must not drown a row when it is
ROUNDED_ROWS = 1024  # output channels rounded at once


def find_factors(group: LayerGroup, inputs: InputGroups | None) -> ChannelFactors:
    """Factors s float32[K] for the inputs of these layers.

    Groups of inputs that the same rows write have the same factors. A channel that was never active keeps factor 1.
    """
    activity = group.stats.gram.diagonal()
    size, shared = (inputs.size, inputs.shared_by) if inputs else (len(activity), 1)
    common = activity.view(-1, shared, size).mean(dim=1, keepdim=True).expand(-1, shared, size).reshape(-1)
    active = common > 0
    logs = torch.where(active, common, 1.0).log2() / 2
    logs = torch.where(active, logs - logs[active].mean(), 0.0) if active.any() else torch.zeros_like(logs)
    candidates = [(alpha * logs).round().clamp(-LARGEST, LARGEST).exp2() for alpha in ALPHAS]
    errors = _output_errors(group, candidates)
    return ChannelFactors(candidates[errors.index(min(errors))])


def _output_errors(group: LayerGroup, candidates: Sequence[Tensor]) -> list[float]:
    """Squared error of the layers' outputs with each of the factors, pruned by magnitude and activity and rounded."""
    gram, totals = group.stats.gram, [0.0] * len(candidates)
    for rows in chain.from_iterable(weight.split(ROUNDED_ROWS) for weight in group.layers()):
        kept = keep_largest(rows.square() * gram.diagonal(), group.pattern)
        for place, factors in enumerate(candidates):
            found = rtn(rows * factors, kept, group.scheme)
            step = found.group_mult * found.row_scale[:, None]
            step = step.repeat_interleave(rows.shape[1] // step.shape[1], dim=1)
            wrong = found.codes * step / factors - rows
            totals[place] += float(((wrong @ gram) * wrong).sum())
    return totals


REGISTRY.add(Transform("awq", "scales input channels before they are rounded", find_factors, order=0, scales=True))
