"""Block-sequential calibration: one Gram matrix for each group of layers that read the same activations.

A block is walked in four steps. Each step gathers the inputs of one group of layers, lets the caller compress them,
and computes the next inputs with the compressed weights: every product is computed once, and each layer is
calibrated on what it will really see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nmforge.activations import Windows
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


def gather(inputs: Iterable[Tensor]) -> InputStats | None:
    """Statistics of some windows [..., K]; None where there are none."""
    gram, count = None, 0
    for x in inputs:
        width = x.shape[-1]
        flat = x.reshape(-1, width).float()
        gram = torch.zeros(width, width) if gram is None else gram
        count += len(flat)
        for first in range(0, width, SLAB):
            last = first + SLAB
            gram[first:last, first:].addmm_(flat[:, first:last].T, flat[:, first:])
    return None if gram is None else InputStats(count, _mirrored(gram))


def _mirrored(gram: Tensor) -> Tensor:
    """Copy the triangle above the diagonal onto the one below, in place, SLAB columns at a time."""
    for first in range(0, len(gram), SLAB):
        last = first + SLAB
        corner = gram[first:last, first:last]
        corner.copy_(corner.triu() + corner.triu(1).T)
        gram[last:, first:last] = gram[first:last, last:].T
    return gram


def walk_block(
    model: Any,
    index: int,
    hidden: Windows,
    after: Windows,
    room: Callable[[int], Windows],
    compress: Callable[[tuple[str, ...], InputStats | None], None],
) -> None:
    """Compress one block and put its outputs for the inputs `hidden` [1, T, hidden] into `after`.

    `compress` gets the names of a group of layers and their shared statistics, and changes their weights in place.
    With no windows it is called without statistics, and nothing is computed. `after` may be `hidden` itself, if that
    need not survive. `room(K)` gives a place for windows [1, T, K], which is used until it is asked again.
    """
    block = model.model.layers[index]
    attention, output, expand, down = INPUT_GROUPS
    compress(attention, gather(block.input_layernorm(h) for h in hidden))
    mixed = room(block.self_attn.o_proj.in_features)
    compress(output, gather(_kept(mixed, (output_input(model, index, block.input_layernorm(h)) for h in hidden))))
    for place, (h, x) in enumerate(zip(hidden, mixed, strict=True)):
        after[place] = h + block.self_attn.o_proj(x)
    compress(expand, gather(block.post_attention_layernorm(h) for h in after))
    del mixed
    inner = room(block.mlp.down_proj.in_features)
    compress(down, gather(_kept(inner, (down_input(block, block.post_attention_layernorm(h)) for h in after))))
    for place, (h, x) in enumerate(zip(after, inner, strict=True)):
        after[place] = h + block.mlp.down_proj(x)


def _kept(place: Windows, windows: Iterable[Tensor]) -> Iterator[Tensor]:
    """Hand windows on and keep each of them."""
    for index, window in enumerate(windows):
        place[index] = window
        yield window
