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

from nmforge.compression.calibration.activation_cache import Windows
from nmforge.linalg.bf16 import add_gram, add_products
from nmforge.linalg.hessian import permuted
from nmforge.models.llama import INPUT_GROUPS, down_input, output_input

SLAB = 192  # columns of a Gram matrix mirrored at once

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class InputStats:
    """Sums over the tokens seen, x being the inputs in the compressed model and x' those in the dense one.

    count: tokens. gram: float32[K, K], sum of x x^T. Where the dense model is walked, one of two more says what the
    layer should give: drift float32[K, K], sum of (x' - x) x^T; or, for a layer that adds its N outputs to the residual
    stream, lacking float32[N, K], sum of (h' - h) x^T, both streams taken behind the layer as the dense model has it.
    """

    count: int
    gram: Tensor
    drift: Tensor | None = None
    lacking: Tensor | None = None

    @property
    def sum_of_squares(self) -> Tensor:
        """float32[K]."""
        return self.gram.diagonal()

    def reordered(self, inputs: Tensor) -> InputStats:
        """The statistics with input inputs[j] at place j, int64[K]."""
        drift = None if self.drift is None else permuted(self.drift, inputs)
        lacking = None if self.lacking is None else self.lacking[:, inputs]
        return InputStats(self.count, permuted(self.gram, inputs), drift, lacking)

    def scaled(self, factors: Tensor) -> InputStats:
        """The statistics of inputs divided by factors float32[K]."""
        gram = (self.gram / factors[:, None]).div_(factors)
        drift = None if self.drift is None else (self.drift / factors[:, None]).div_(factors)
        lacking = None if self.lacking is None else self.lacking / factors
        return InputStats(self.count, gram, drift, lacking)


@dataclass(frozen=True)
class Streams:
    """Activations of all windows in the compressed model and, if it is walked, in the dense one."""

    compressed: Windows
    dense: Windows | None = None

    def each(self) -> list[Windows]:
        """Those that are walked."""
        return [self.compressed] if self.dense is None else [self.compressed, self.dense]


Compress = Callable[[tuple[str, ...], InputStats | None], None]


def gather(
    inputs: Streams, read: Function = lambda h: h, lacking: Callable[[int], Tensor] | None = None
) -> InputStats | None:
    """Statistics of a group of layers; None where there are no windows.

    read: what makes the layers' inputs [1, T, K] of a window of `inputs`. lacking: by window, what their outputs
    [1, T, N] lack; without it their inputs are compared with the dense model's, where there are any.
    """
    gram = cross = given = None
    count = 0
    for index, window in enumerate(inputs.compressed):
        x = _tokens(read(window))
        count += len(x)
        gram = add_gram(torch.zeros(x.shape[1], x.shape[1]) if gram is None else gram, x)
        if lacking is not None:
            given = _add_products(given, lacking(index), x)
        elif inputs.dense is not None:
            cross = _add_products(cross, read(inputs.dense[index]), x)
    if gram is None:
        return None
    gram = _mirrored(gram)
    return InputStats(count, gram, None if cross is None else cross.sub_(gram), given)


def _tokens(window: Tensor) -> Tensor:
    """[1, T, K] -> float32[T, K]."""
    return window.flatten(0, -2).float()


def _add_products(total: Tensor | None, outputs: Tensor, x: Tensor) -> Tensor:
    """total + y^T x, in place; outputs y: [1, T, N]; x: float32[T, K]."""
    total = torch.zeros(outputs.shape[-1], x.shape[1]) if total is None else total
    return add_products(total, _tokens(outputs), x)


def _mirrored(gram: Tensor) -> Tensor:
    """Copy the triangle above the diagonal onto the one below, in place, SLAB columns at a time."""
    for first in range(0, len(gram), SLAB):
        last = first + SLAB
        corner = gram[first:last, first:last]
        corner.copy_(corner.triu() + corner.triu(1).T)
        gram[last:, first:last] = gram[first:last, last:].T
    return gram


def walk_block(
    model: Any, index: int, hidden: Streams, after: Streams, room: Callable[[int], Streams], compress: Compress
) -> None:
    """Compress one block and put its outputs for the inputs `hidden` [1, T, hidden] into `after`.

    `compress` gets the names of a group of layers and their shared statistics, and changes their weights in place.
    With no windows it is called without statistics, and nothing is computed. `after` may be `hidden` itself, if that
    need not survive. `room(K)` gives a place for windows [1, T, K], which is used until it is asked again.
    """
    block = model.model.layers[index]
    attention, output, expand, down = INPUT_GROUPS
    mixed = room(block.self_attn.o_proj.in_features)
    _through(hidden, block.input_layernorm, attention, lambda x: output_input(model, index, x), mixed, None, compress)
    _through(mixed, lambda x: x, output, block.self_attn.o_proj, after, hidden, compress)
    del mixed
    inner = room(block.mlp.down_proj.in_features)
    _through(after, block.post_attention_layernorm, expand, lambda x: down_input(block, x), inner, None, compress)
    _through(inner, lambda x: x, down, block.mlp.down_proj, after, after, compress)


def _through(
    source: Streams, read: Function, names: tuple[str, ...], forward: Function, target: Streams,
    residual: Streams | None, compress: Compress,
) -> None:  # fmt: skip
    """Compress the layers `names` on read(source), and put forward(read(source)) into `target`, plus the residual.

    The dense stream goes first, through the weights as they are; the other goes through the compressed ones.
    """
    lacking = None
    if source.dense is not None and target.dense is not None:
        _forward(source.dense, read, forward, target.dense, None if residual is None else residual.dense)
        lacking = _lacking(source, read, forward, target.dense, residual) if residual is not None else None
    compress(names, gather(source, read, lacking))
    _forward(source.compressed, read, forward, target.compressed, None if residual is None else residual.compressed)


def _lacking(
    source: Streams, read: Function, forward: Function, behind: Windows, residual: Streams
) -> Callable[[int], Tensor]:
    """What the compressed stream lacks of the dense one, `behind`, once the layer as it is has added to it.

    A difference is small, and so is what rounding it takes away.
    """
    return lambda index: behind[index] - (residual.compressed[index] + forward(read(source.compressed[index])))


def _forward(source: Windows, read: Function, forward: Function, target: Windows, residual: Windows | None) -> None:
    for index, window in enumerate(source):
        outputs = forward(read(window))
        target[index] = outputs if residual is None else residual[index] + outputs
