"""Compressed layers and norms that can be trained with the straight-through estimator (Bengio et al. 2013).

Every weight has a float32 latent. The forward pass multiplies by exactly the weights of the artifact,
w = (code * group_mult) * row_scale with code = clamp(round(latent / step)); the backward pass takes the rounding for
the identity, so the latent gets the gradient of its weight (arXiv 1308.3432). Pruned weights stay zero and get none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.formats import QuantScheme
from nmforge.core.reference import dequantize
from nmforge.linalg.bf16 import round_bf16


class _Rounded(torch.autograd.Function):
    """latent [N, K] -> weight [N, K]; gradients pass where weights are kept."""

    @staticmethod
    def forward(ctx: Any, latent: Tensor, layer: LatentLinear, dtype: torch.dtype) -> Tensor:
        ctx.layer = layer
        weight = layer.codes(latent).mul_(layer.mult).view_as(latent)
        return weight.mul_(layer.row_scale[:, None]).to(dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0].float().mul_(ctx.layer.kept), None, None


class LatentNorm(nn.Module):
    """RMSNorm trained straight through: the forward pass reads the bf16 weight, the gradient goes to its latent."""

    def __init__(self, weight: Tensor, epsilon: float) -> None:
        """weight: [H], bf16 numbers. epsilon: added to the mean square."""
        super().__init__()
        self.latent = nn.Parameter(weight.detach().float().clone())
        self.epsilon = epsilon

    def weight(self) -> Tensor:
        """float32[H], rounded to bf16, the gradient passed straight through."""
        return self.latent + (round_bf16(self.latent) - self.latent).detach()

    def forward(self, x: Tensor) -> Tensor:
        """[..., H] -> [..., H] in the type of x; the mean square is float32."""
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.epsilon)
        return (self.weight() * (wide * scale).to(x.dtype)).to(x.dtype)


class LatentLinear(nn.Module):
    """y = x @ w^T trained straight through: the forward pass reads the codes, the gradient goes to their latents."""

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
        rounded: Callable[..., Tensor] = _Rounded.apply
        return nn.functional.linear(x, rounded(self.latent, self, x.dtype))

    def to_linear(self) -> CompressedLinear:
        """The compressed layer: same mask, same scales, the codes of the latents."""
        codes = self.codes(self.latent.detach()).flatten(1).to(torch.int8)
        return replace(self.linear, codes=codes.cpu().numpy())
