"""Round to nearest: each group's largest kept weight sets its step, every weight takes its nearest code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmforge.compression.quantization.registry import REGISTRY, Quantizer
from nmforge.compression.quantization.scales import (
    Quantized,
    group_absmax,
    mask_or_all,
    multipliers,
    row_scales,
    to_codes,
)
from nmforge.core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.layer_group import LayerGroup
    from nmforge.core.formats import QuantScheme


def quantize(group: LayerGroup, keep_mask: Tensor | None) -> Quantized:
    """All layers at once: their rows do not depend on each other."""
    return rtn(group.weight, mask_or_all(keep_mask, group.weight), group.scheme)


def rtn(weight: Tensor, keep_mask: Tensor, scheme: QuantScheme) -> Quantized:
    """float32[N, K], bool[N, K] -> codes and scales."""
    size, _ = scheme.groups(weight.shape[1], "this layer")
    kept = weight * keep_mask
    absmax = group_absmax(kept, size)
    row_scale = row_scales(absmax, scheme)
    mult = multipliers(absmax, row_scale, scheme)
    step = (mult * row_scale[:, None]).repeat_interleave(size, dim=1)
    codes = to_codes(kept, step, scheme)
    return Quantized(codes.to(torch.int8), keep_mask, mult.to(torch.uint8), row_scale)


REGISTRY.add(Quantizer("rtn", "rounds to nearest", quantize))
