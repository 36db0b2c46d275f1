"""Input channels scaled before they are rounded (AWQ, Lin et al. 2023, arXiv 2306.00978), at no cost at run time.

A layer y = W x is stored as W diag(s) and reads x / s, which whatever writes x hands on: the normalization in front
of it, or the row scales of the layer that does. A channel with s > 1 takes more of its group's range, so its weights
are rounded more finely. As in the paper, s grows with a channel's activity: here it is (E[x^2] / mean)^(alpha / 2),
the mean being the geometric one of all active channels, and alpha is the one of ALPHAS whose rounded layer has the
least output error,

    tr (W' - W) H (W' - W)^T,    H = X X^T, W' = Q(W diag(s)) diag(s)^-1.

Factors are powers of two: norms stay bf16 numbers, and in mode W4A16 every product and sum of the model is what it was,
its exponent apart. Rounding is to nearest here; whichever quantizer follows works on the scaled layer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain

import torch
from torch import Tensor

from nmforge.compression.pruning.masks import keep_largest
from nmforge.compression.quantization.rtn import rtn
from nmforge.core.formats import Pattern, QuantScheme

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
LARGEST = 6  # exponent: a channel that hardly speaks in the calibration text must not drown a row when it does
ROWS = 1024  # output channels rounded at once


def channel_factors(
    weights: Collection[Tensor], gram: Tensor, pattern: Pattern, scheme: QuantScheme, span: int = 0, shared: int = 1
) -> Tensor:
    """Factors s float32[K] for layers float32[N, K] that read inputs with the Gram matrix float32[K, K].

    span, shared: `shared` neighbouring spans of `span` channels have the same factors, since the same rows write them;
    span = 0: any. A channel that was never active keeps factor 1.
    """
    activity = gram.diagonal()
    size = span or len(activity)
    common = activity.view(-1, shared, size).mean(dim=1, keepdim=True).expand(-1, shared, size).reshape(-1)
    active = common > 0
    logs = torch.where(active, common, 1.0).log2() / 2
    logs = torch.where(active, logs - logs[active].mean(), 0.0) if active.any() else torch.zeros_like(logs)
    candidates = [(alpha * logs).round().clamp(-LARGEST, LARGEST).exp2() for alpha in ALPHAS]
    errors = _output_errors(weights, candidates, gram, pattern, scheme)
    return candidates[errors.index(min(errors))]


def _output_errors(
    weights: Collection[Tensor], candidates: Sequence[Tensor], gram: Tensor, pattern: Pattern, scheme: QuantScheme
) -> list[float]:
    """Squared error of the layers' outputs with each of the factors, pruned by magnitude and activity and rounded."""
    totals = [0.0] * len(candidates)
    for rows in chain.from_iterable(weight.split(ROWS) for weight in weights):
        kept = keep_largest(rows.square() * gram.diagonal(), pattern)
        for place, factors in enumerate(candidates):
            found = rtn(rows * factors, kept, scheme)
            step = found.group_mult * found.row_scale[:, None]
            step = step.repeat_interleave(rows.shape[1] // step.shape[1], dim=1)
            wrong = found.codes * step / factors - rows
            totals[place] += float(((wrong @ gram) * wrong).sum())
    return totals
