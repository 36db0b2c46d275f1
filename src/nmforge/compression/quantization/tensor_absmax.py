"""One scale for the whole tensor, largest magnitude to the largest code, zero point 0 (arXiv 2512.24713)."""

from __future__ import annotations

import torch
from torch import Tensor

from nmforge.compression.quantization.scales import Quantized, to_codes
from nmforge.core.formats import QuantScheme


def tensor_absmax(weight: Tensor, keep_mask: Tensor, scheme: QuantScheme) -> Quantized:
    """float32[N, K], bool[N, K] -> codes; every multiplier is 1 and every row has the same scale."""
    rows, k = weight.shape
    _, groups = scheme.groups(k, "this layer")
    kept = weight * keep_mask
    step = kept.abs().max() / scheme.code_max
    step = torch.where(step > 0, step, torch.ones_like(step))
    codes = to_codes(kept, step, scheme).to(torch.int8)
    return Quantized(codes, keep_mask, torch.ones(rows, groups, dtype=torch.uint8), step.expand(rows).clone())
