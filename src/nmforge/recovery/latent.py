"""A compressed layer that can be trained: float32 latent weights behind the integer codes.

The forward pass multiplies by exactly the weights of the artifact, w = (code * group_mult) * row_scale with
code = clamp(round(latent / step)); the backward pass takes the rounding for the identity (straight-through estimator,
Bengio et al. 2013, arXiv 1308.3432). Pruned weights stay zero and get no gradient.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from nmforge.linear import CompressedLinear
from nmforge.reference import dequantize
from nmforge.spec import QuantScheme


class _Rounded(torch.autograd.Function):
    """latent [N, K] -> weight [N, K]; gradients pass where weights are kept."""

    @staticmethod
    def forward(ctx: Any, latent: Tensor, layer: LatentLinear) -> Tensor:
        ctx.layer = layer
        return (layer.codes(latent) * layer.mult).view_as(latent) * layer.row_scale[:, None]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.layer.kept, None


class LatentLinear(nn.Module):
    """y = x @ w^T with the weights w of an artifact and a latent weight for each."""

    mult: Tensor
    row_scale: Tensor
    kept: Tensor

    def __init__(self, linear: CompressedLinear) -> None:
        """Latents start at the weights the layer has."""
        super().__init__()
        self.linear = linear
        self.scheme = QuantScheme(linear.bits, linear.group_size)
        self.latent = nn.Parameter(torch.from_numpy(dequantize(linear)))
        self.register_buffer("mult", torch.from_numpy(linear.group_mult).float()[:, :, None])
        self.register_buffer("row_scale", torch.from_numpy(linear.row_scale))
        self.register_buffer("kept", torch.from_numpy(linear.keep_mask))

    def codes(self, latent: Tensor) -> Tensor:
        """Integer codes as floats: [N, groups, G], 0 where pruned."""
        groups = latent.view(len(latent), -1, self.linear.group_size)
        codes = groups / (self.mult * self.row_scale[:, None, None])
        codes = codes.round_().clamp_(self.scheme.code_min, self.scheme.code_max)
        return codes.mul_(self.kept.view_as(codes))

    def forward(self, x: Tensor) -> Tensor:
        """[..., K] -> [..., N]."""
        weight: Tensor = _Rounded.apply(self.latent, self)
        return nn.functional.linear(x, weight.to(x.dtype))

    def to_linear(self) -> CompressedLinear:
        """The compressed layer the latents stand for: same mask, same scales, new codes."""
        codes = self.codes(self.latent.detach()).flatten(1).to(torch.int8)
        return replace(self.linear, codes=codes.numpy())
