"""One scale for the whole tensor, largest magnitude to the largest code, zero point 0 (arXiv 2512.24713)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmforge.compression.quantization.registry import REGISTRY, Quantizer
from nmforge.compression.quantization.scales import Quantized, mask_or_all, to_codes
from nmforge.core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.layer_group import LayerGroup
    from nmforge.core.formats import QuantScheme


def quantize(group: LayerGroup, keep_mask: Tensor | None) -> Quantized:
    """Each layer with a scale of its own."""
    mask = mask_or_all(keep_mask, group.weight)
    each = [tensor_absmax(group.weight[rows], mask[rows], group.scheme) for rows in group.rows.values()]
    return Quantized(*(torch.cat(parts) for parts in zip(*each, strict=True)))


def tensor_absmax(weight: Tensor, keep_mask: Tensor, scheme: QuantScheme) -> Quantized:
    """float32[N, K], bool[N, K] -> codes; every multiplier is 1 and every row has the same scale."""
    rows, k = weight.shape
    _, groups = scheme.groups(k, "this layer")
    kept = weight * keep_mask
    step = kept.abs().max() / scheme.code_max
    step = torch.where(step > 0, step, torch.ones_like(step))
    codes = to_codes(kept, step, scheme).to(torch.int8)
    return Quantized(codes, keep_mask, torch.ones(rows, groups, dtype=torch.uint8), step.expand(rows).clone())


REGISTRY.add(Quantizer("tensor-absmax", "gives the whole tensor one scale", quantize, reads_magnitude=True))
