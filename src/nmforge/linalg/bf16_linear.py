"""A layer of torch in modes bf16 and W4A16."""

from __future__ import annotations

from torch import Tensor, nn

from nmforge.linalg.bf16 import multiply


class Bf16Linear(nn.Linear):
    """Weights and activations rounded to bf16, products summed in float32: modes bf16 and W4A16.

    The weight [N, K] is float32 and has to hold bf16 numbers; there is no bias.
    """

    def __init__(self, inputs: int, outputs: int, device: str | None = None) -> None:
        """A layer whose weight is still to be filled."""
        super().__init__(inputs, outputs, bias=False, device=device)

    @classmethod
    def from_weight(cls, weight: Tensor) -> Bf16Linear:
        """weight: [N, K], any float type; it is rounded to bf16."""
        layer = cls(weight.shape[1], weight.shape[0], "meta")
        layer.weight = nn.Parameter(weight.detach().bfloat16().float(), requires_grad=False)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """[..., K] -> [..., N] in the type of x."""
        return multiply(x, self.weight).to(x.dtype)
