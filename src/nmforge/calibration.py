"""Block-sequential calibration: one Gram matrix for each group of layers that read the same activations.

A block is walked in four steps. Each step gathers the inputs of one group of layers, lets the caller compress them,
and computes the next inputs with the compressed weights: every product is computed once, and each layer is
calibrated on what it will really see. The dense model's activations can be walked beside them, so that a layer can be
told how far the compressed model has drifted by the time it is reached.

Statistics are of inputs rounded to bf16, which is what the layers read when the model runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nmforge.bf16 import bf16_products, round_bf16
from nmforge.models.layers import INPUT_GROUPS, down_input, output_input

SLAB = 192  # columns of a Gram matrix computed at once: only slabs on and above the diagonal are


@dataclass(frozen=True)
class InputStats:
    """Sums over the tokens seen, x being the inputs in the compressed model and x' those in the dense one.

    count: tokens. gram: float32[K, K], sum of x x^T. drift: float32[K, K], sum of (x' - x) x^T, None where the dense
    model is not walked. residual: float32[N, K], sum of (h' - h) x^T for a layer that adds its N outputs to the
    residual stream h, else None.
    """

    count: int
    gram: Tensor
    drift: Tensor | None = None
    residual: Tensor | None = None

    @property
    def sum_of_squares(self) -> Tensor:
        """float32[K]."""
        return self.gram.diagonal()


@dataclass(frozen=True)
class Streams:
    """Activations of all windows, each [1, T, width], in the compressed model and, if it is walked, the dense one."""

    compressed: list[Tensor]
    dense: list[Tensor] | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> Streams:
        """The function of every window of both."""
        dense = None if self.dense is None else [function(x) for x in self.dense]
        return Streams([function(x) for x in self.compressed], dense)

    def plus(self, other: Streams) -> Streams:
        """Window by window."""
        dense = None
        if self.dense is not None and other.dense is not None:
            dense = [x + y for x, y in zip(self.dense, other.dense, strict=True)]
        return Streams([x + y for x, y in zip(self.compressed, other.compressed, strict=True)], dense)

    def missing(self) -> list[Tensor] | None:
        """Dense minus compressed, None where the dense model is not walked."""
        if self.dense is None:
            return None
        return [dense - x for dense, x in zip(self.dense, self.compressed, strict=True)]


def gather(inputs: Streams, residual: Streams | None = None) -> InputStats | None:
    """Statistics of the inputs [1, T, K] of a group of layers; None where there are no windows.

    residual: the stream the layers add to, for those that do.
    """
    if not inputs.compressed:
        return None
    read = [_rounded(x) for x in inputs.compressed]
    gram = _gram(read)
    drift = None if inputs.dense is None else _products(inputs.dense, read) - gram
    missing = None if residual is None else residual.missing()
    return InputStats(sum(map(len, read)), gram, drift, None if missing is None else _products(missing, read))


def _rounded(x: Tensor) -> Tensor:
    """[1, T, K] -> float32[T, K], bf16 numbers."""
    return round_bf16(x.flatten(0, -2).float())


def _gram(inputs: list[Tensor]) -> Tensor:
    """Sum of x x^T over bf16 numbers [T, K]."""
    width = inputs[0].shape[1]
    gram = torch.zeros(width, width)
    with bf16_products():
        for x in inputs:
            for first in range(0, width, SLAB):
                last = first + SLAB
                gram[first:last, first:].addmm_(x[:, first:last].T, x[:, first:])
    return gram.triu() + gram.triu(1).T


def _products(outputs: list[Tensor], inputs: list[Tensor]) -> Tensor:
    """Sum of y x^T over [1, T, N], which are rounded to bf16, and bf16 numbers [T, K]."""
    total = torch.zeros(outputs[0].shape[-1], inputs[0].shape[1])
    with bf16_products():
        for y, x in zip(outputs, inputs, strict=True):
            total.addmm_(_rounded(y).T, x)
    return total


Compress = Callable[[tuple[str, ...], InputStats | None], None]


def walk_block(model: Any, index: int, hidden: Streams, compress: Compress) -> Streams:
    """Compress one block and return its outputs for the inputs `hidden`, each [1, T, hidden].

    `compress` gets the names of a group of layers and their shared statistics, and changes their weights in place.
    With no windows it is called without statistics, and nothing is computed.
    """
    block = model.model.layers[index]
    attention, output, expand, down = INPUT_GROUPS
    inputs = hidden.map(block.input_layernorm)
    inputs = _through(inputs, attention, None, lambda x: output_input(model, index, x), compress)
    hidden = hidden.plus(_through(inputs, output, hidden, block.self_attn.o_proj, compress))
    inputs = hidden.map(block.post_attention_layernorm)
    inputs = _through(inputs, expand, None, lambda x: down_input(block, x), compress)
    return hidden.plus(_through(inputs, down, hidden, block.mlp.down_proj, compress))


def _through(
    inputs: Streams,
    names: tuple[str, ...],
    residual: Streams | None,
    forward: Callable[[Tensor], Tensor],
    compress: Compress,
) -> Streams:
    """What comes of the inputs: the dense ones by the weights as they are, the others by the compressed ones."""
    dense = None if inputs.dense is None else [forward(x) for x in inputs.dense]
    compress(names, gather(inputs, residual))
    return Streams([forward(x) for x in inputs.compressed], dense)
