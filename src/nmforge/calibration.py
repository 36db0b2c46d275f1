"""Block-sequential calibration: one Gram matrix for each group of layers that read the same activations.

A block is walked in four steps. Each step gathers the inputs of one group of layers, lets the caller compress them,
and computes the next inputs with the compressed weights: every product is computed once, and each layer is
calibrated on what it will really see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nmforge.models.layers import INPUT_GROUPS, down_input, output_input

SLAB = 128  # columns of a Gram matrix computed at once: only slabs on and above the diagonal are


@dataclass(frozen=True)
class InputStats:
    """count: tokens seen. gram: float32[K, K], sum over tokens of x x^T."""

    count: int
    gram: Tensor

    @property
    def sum_of_squares(self) -> Tensor:
        """float32[K]."""
        return self.gram.diagonal()


def gather(inputs: list[Tensor]) -> InputStats | None:
    """Statistics of some windows [..., K]; None where there are none."""
    if not inputs:
        return None
    width = inputs[0].shape[-1]
    gram, count = torch.zeros(width, width), 0
    for x in inputs:
        flat = x.reshape(-1, width).float()
        count += len(flat)
        for first in range(0, width, SLAB):
            last = first + SLAB
            gram[first:last, first:].addmm_(flat[:, first:last].T, flat[:, first:])
    return InputStats(count, gram.triu() + gram.triu(1).T)


def walk_block(
    model: Any, index: int, hidden: list[Tensor], compress: Callable[[tuple[str, ...], InputStats | None], None]
) -> list[Tensor]:
    """Compress one block and return its outputs [1, T, hidden] for the inputs `hidden` of the same shape.

    `compress` gets the names of a group of layers and their shared statistics, and changes their weights in place.
    With no windows it is called without statistics, and nothing is computed.
    """
    block = model.model.layers[index]
    attention, output, expand, down = INPUT_GROUPS
    inputs = [block.input_layernorm(h) for h in hidden]
    compress(attention, gather(inputs))
    inputs = [output_input(model, index, x) for x in inputs]
    compress(output, gather(inputs))
    hidden = [h + block.self_attn.o_proj(x) for h, x in zip(hidden, inputs, strict=True)]
    inputs = [block.post_attention_layernorm(h) for h in hidden]
    compress(expand, gather(inputs))
    inputs = [down_input(block, x) for x in inputs]
    compress(down, gather(inputs))
    return [h + block.mlp.down_proj(x) for h, x in zip(hidden, inputs, strict=True)]
