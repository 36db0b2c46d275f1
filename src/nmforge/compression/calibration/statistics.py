"""Block-sequential calibration: one Gram matrix for each group of layers that read the same activations.

A block is walked in four steps. Each step gathers the inputs of one group of layers, lets the caller compress them,
and computes the next inputs with the compressed weights: every product is computed once, and each layer is
calibrated on what it will really see. The dense model's activations can be walked as well, so that a layer can be
told how far the compressed model has drifted by the time it is reached.

Statistics are of inputs rounded to bf16, which is what the layers read when the model runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nmforge.compression.calibration.activation_cache import ActivationCache
from nmforge.linalg.bf16 import add_gram, add_products
from nmforge.linalg.hessian import permuted
from nmforge.models.forward import down_input, output_input
from nmforge.models.llama import ATTENTION_OUTPUT, BLOCK_NORMS, DOWN, LAYERS_BY_INPUT

MIRRORED = 192  # columns of a Gram matrix at once

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class InputStats:
    """Sums over the tokens seen, x being the inputs in the compressed model and x' those in the dense one.

    count: tokens; of none, `NO_TEXT`, there are no other numbers. gram: float32[K, K], sum of x x^T. Where the dense
    model is walked, one of two more says what the layer should give: drift float32[K, K], sum of (x' - x) x^T; or, for
    a layer that adds its N outputs to the residual stream, residual_error float32[N, K], sum of (h_dense - h) x^T, h
    being the residual stream after the layer.
    """

    count: int
    gram: Tensor
    drift: Tensor | None = None
    residual_error: Tensor | None = None

    @property
    def sum_of_squares(self) -> Tensor:
        """float32[K]."""
        return self.gram.diagonal()

    def reordered(self, inputs: Tensor) -> InputStats:
        """The statistics with input inputs[j] at place j, int64[K]."""
        drift = None if self.drift is None else permuted(self.drift, inputs)
        residual_error = None if self.residual_error is None else self.residual_error[:, inputs]
        return InputStats(self.count, permuted(self.gram, inputs), drift, residual_error)

    def scaled(self, factors: Tensor) -> InputStats:
        """The statistics of inputs divided by factors float32[K]."""
        gram = (self.gram / factors[:, None]).div_(factors)
        drift = None if self.drift is None else (self.drift / factors[:, None]).div_(factors)
        residual_error = None if self.residual_error is None else self.residual_error / factors
        return InputStats(self.count, gram, drift, residual_error)


@dataclass(frozen=True)
class Streams:
    """Activations of all sequences in the compressed model and, if it is walked, in the dense one."""

    compressed: ActivationCache
    dense: ActivationCache | None = None

    def each(self) -> list[ActivationCache]:
        """Those that are walked."""
        return [self.compressed] if self.dense is None else [self.compressed, self.dense]


NO_TEXT = InputStats(0, torch.empty(0, 0))

# Compresses the layers of these names in place, given statistics of the inputs they share.
Compress = Callable[[tuple[str, ...], InputStats], None]


def gather(
    inputs: Streams, read: Function = lambda h: h, residual_error: Callable[[int], Tensor] | None = None
) -> InputStats:
    """Statistics of a group of layers; `NO_TEXT` where there are no sequences.

    read: what makes the layers' inputs [1, T, K] of a sequence of `inputs`. residual_error: (h_dense - h) [1, T, N] by
    the index of a sequence; without it the inputs are compared with the dense model's, where there are any.
    """
    gram = cross = given = None
    count = 0
    for index, sequence in enumerate(inputs.compressed):
        x = _tokens(read(sequence))
        count += len(x)
        gram = add_gram(torch.zeros(x.shape[1], x.shape[1]) if gram is None else gram, x)
        if residual_error is not None:
            given = _add_products(given, residual_error(index), x)
        elif inputs.dense is not None:
            cross = _add_products(cross, read(inputs.dense[index]), x)
    if gram is None:
        return NO_TEXT
    gram = _mirrored(gram)
    return InputStats(count, gram, None if cross is None else cross.sub_(gram), given)


def _tokens(sequence: Tensor) -> Tensor:
    """[1, T, K] -> float32[T, K]."""
    return sequence.flatten(0, -2).float()


def _add_products(total: Tensor | None, outputs: Tensor, x: Tensor) -> Tensor:
    """total + y^T x, in place; outputs y: [1, T, N]; x: float32[T, K]."""
    total = torch.zeros(outputs.shape[-1], x.shape[1]) if total is None else total
    return add_products(total, _tokens(outputs), x)


def _mirrored(gram: Tensor) -> Tensor:
    """Copy the triangle above the diagonal onto the one below, in place, MIRRORED columns at a time."""
    for first in range(0, len(gram), MIRRORED):
        last = first + MIRRORED
        corner = gram[first:last, first:last]
        corner.copy_(corner.triu() + corner.triu(1).T)
        gram[last:, first:last] = gram[first:last, last:].T
    return gram


def walk_block(
    model: Any, index: int, hidden: Streams, after: Streams, allocate: Callable[[int], Streams], compress: Compress
) -> None:
    """Compress one block and put its outputs for the inputs `hidden` [1, T, hidden] into `after`.

    `compress` gets the names of a group of layers and their shared statistics, and changes their weights in place.
    With no sequences it is called with `NO_TEXT`, and nothing is computed. `after` may be `hidden` itself, if that need
    not survive. `allocate(K)` gives caches of sequences [1, T, K], which are used until it is called again.
    """
    block = model.model.layers[index]
    attention, output, expand, down = LAYERS_BY_INPUT
    before, between = (block.get_submodule(name) for name in BLOCK_NORMS)
    project, contract = (block.get_submodule(name) for name in (ATTENTION_OUTPUT, DOWN))
    mixed = allocate(project.in_features)
    _through(hidden, before, attention, lambda x: output_input(model, index, x), mixed, None, compress)
    _through(mixed, lambda x: x, output, project, after, hidden, compress)
    del mixed
    inner = allocate(contract.in_features)
    _through(after, between, expand, lambda x: down_input(block, x), inner, None, compress)
    _through(inner, lambda x: x, down, contract, after, after, compress)


def _through(
    source: Streams, read: Function, names: tuple[str, ...], forward: Function, target: Streams,
    residual: Streams | None, compress: Compress,
) -> None:  # fmt: skip
    """Compress the layers `names` on read(source), and put forward(read(source)) into `target`, plus the residual.

    The dense stream goes first, through the weights as they are; the other goes through the compressed ones.
    """
    residual_error = None
    if source.dense is not None and target.dense is not None:
        _forward(source.dense, read, forward, target.dense, None if residual is None else residual.dense)
        if residual is not None:
            residual_error = _residual_error(source, read, forward, target.dense, residual)
    compress(names, gather(source, read, residual_error))
    _forward(source.compressed, read, forward, target.compressed, None if residual is None else residual.compressed)


def _residual_error(
    source: Streams, read: Function, forward: Function, dense: ActivationCache, residual: Streams
) -> Callable[[int], Tensor]:
    """h_dense - h by the index of a sequence, h being the residual stream after the layer as it is.

    A difference is small, and so is the error of rounding it.
    """
    return lambda index: dense[index] - (residual.compressed[index] + forward(read(source.compressed[index])))


def _forward(
    source: ActivationCache, read: Function, forward: Function, target: ActivationCache,
    residual: ActivationCache | None,
) -> None:  # fmt: skip
    for index, sequence in enumerate(source):
        outputs = forward(read(sequence))
        target[index] = outputs if residual is None else residual[index] + outputs
