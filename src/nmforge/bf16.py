"""bf16 numbers in float32 arithmetic: what mode W4A16 rounds, and products of such numbers at full speed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def bf16_products() -> Iterator[None]:
    """float32 matrix products may take their factors as bf16, which changes nothing where those are bf16 numbers
    already: products are exact and sums float32 either way. Twice as fast on a processor that has bf16 products."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def round_bf16(x: Tensor) -> Tensor:
    """The nearest bf16 numbers, in the type of x."""
    return x.bfloat16().to(x.dtype)


class Bf16Linear(nn.Linear):
    """Weights and activations rounded to bf16, products summed in float32: modes bf16 and W4A16.

    The weight [N, K] is float32 and has to hold bf16 numbers; there is no bias.
    """

    def __init__(self, inputs: int, outputs: int, device: str | None = None) -> None:
        """A layer whose weight is still to be filled."""
        super().__init__(inputs, outputs, bias=False, device=device)

    @classmethod
    def of(cls, weight: Tensor) -> Bf16Linear:
        """weight: [N, K], any float type; it is rounded to bf16."""
        layer = cls(weight.shape[1], weight.shape[0], "meta")
        layer.weight = nn.Parameter(weight.detach().bfloat16().float(), requires_grad=False)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """[..., K] -> [..., N] in the type of x."""
        with bf16_products():
            return nn.functional.linear(x.bfloat16().float(), self.weight).to(x.dtype)
