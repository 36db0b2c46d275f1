"""Input channels scaled before they are rounded (AWQ, Lin et al. 2023, arXiv 2306.00978), at no cost at run time.

A layer y = W x is stored as W diag(s) and reads x / s, which whatever writes x hands on: the normalization in front of
it, or the row scales of the layer that does. A channel with s > 1 takes more of its group's range, so its weights are
rounded more finely. As in the paper, s grows with a channel's activity, s = (E[x^2] / mean)^(alpha / 2), and alpha is
the one of ALPHAS whose rounded layer has the least output error,

    tr (W' - W) H (W' - W)^T,    H = X X^T, W' = Q(W diag(s)) diag(s)^-1.

Factors are powers of two: norms stay bf16 numbers, and every product and sum of the model is what it was, its exponent
apart. Rounding is to nearest here; whichever quantizer follows works on the scaled layer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nmforge.pruning.select import keep_largest
from nmforge.quantization.rtn import rtn
from nmforge.spec import Pattern, QuantScheme

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
ROWS = 1024  # output channels rounded at once


def channel_factors(
    weight: Tensor, gram: Tensor, pattern: Pattern, scheme: QuantScheme, span: int = 0, shared: int = 1
) -> Tensor:
    """Factors s float32[K] for a layer float32[N, K] with the Gram matrix float32[K, K] of its inputs.

    span, shared: `shared` neighbouring spans of `span` channels have the same factors, since the same rows write them;
    span = 0: any. A channel that was never active keeps factor 1.
    """
    activity = gram.diagonal()
    size = span or len(activity)
    common = activity.view(-1, shared, size).mean(dim=1, keepdim=True).expand(-1, shared, size).reshape(-1)
    active = common > 0
    logs = torch.where(active, common, 1.0).log2() / 2
    logs = torch.where(active, logs - logs[active].mean(), 0.0) if active.any() else torch.zeros_like(logs)
    candidates = [(alpha * logs).round().exp2() for alpha in ALPHAS]
    errors = [_output_error(weight, factors, gram, pattern, scheme) for factors in candidates]
    return candidates[errors.index(min(errors))]


def _output_error(weight: Tensor, factors: Tensor, gram: Tensor, pattern: Pattern, scheme: QuantScheme) -> float:
    """Squared error of a layer's outputs after magnitude-by-activity pruning and rounding to nearest."""
    total = 0.0
    for rows in weight.split(ROWS):
        kept = keep_largest(rows.square() * gram.diagonal(), pattern)
        found = rtn(rows * factors, kept, scheme)
        step = (found.group_mult * found.row_scale[:, None]).repeat_interleave(
            rows.shape[1] // found.group_mult.shape[1], dim=1
        )
        wrong = found.codes * step / factors - rows
        total += float(((wrong @ gram) * wrong).sum())
    return total
