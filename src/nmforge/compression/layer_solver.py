"""Layers that read the same inputs are transformed, corrected, pruned and quantized as a design point asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from nmforge.compression.calibration.statistics import InputStats
from nmforge.compression.layer_group import LayerGroup
from nmforge.compression.pruning.registry import REGISTRY as PRUNERS
from nmforge.compression.pruning.registry import Pruned
from nmforge.compression.quantization.registry import REGISTRY as QUANTIZERS
from nmforge.compression.quantization.scales import Quantized
from nmforge.compression.transforms.error_correction import toward_dense
from nmforge.compression.transforms.input_change import InputChange
from nmforge.compression.transforms.registry import REGISTRY as TRANSFORMS
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.design import NO_PRUNER, DesignPoint
from nmforge.core.errors import NmforgeError
from nmforge.core.reference import dequantize
from nmforge.linalg.bf16 import round_bf16
from nmforge.models.llama import InputGroups

NO_MASKS: Mapping[str, Tensor] = {}


@dataclass(frozen=True)
class Solved:
    """Compressed layers that read the same inputs, and what was done to these inputs first, in order."""

    layers: Mapping[str, CompressedLinear]
    changes: tuple[InputChange, ...] = ()

    def weight(self, name: str) -> Tensor:
        """A layer's weight float32[N, K], bf16 numbers, for the inputs before any change."""
        found = round_bf16(torch.from_numpy(dequantize(self.layers[name])))
        for change in reversed(self.changes):
            found = change.undo(found)
        return found


class LayerSolver(Protocol):
    """Compresses layers that read the same inputs."""

    def __call__(self, weights: Mapping[str, Tensor], stats: InputStats) -> Solved:
        """weights: float32[N, K] of each layer. stats: of their inputs, of no token where no text is read."""


@dataclass(frozen=True)
class DesignSolver:
    """The LayerSolver of a design point.

    inputs: the groups in which a layer's input channels may change places, by its name in a block. masks: bool[N, K] of
    each layer, True = kept, where the pruner takes them from a file.
    """

    point: DesignPoint
    inputs: Mapping[str, InputGroups]
    masks: Mapping[str, Tensor] = field(default_factory=dict)

    def __call__(self, weights: Mapping[str, Tensor], stats: InputStats) -> Solved:
        """Compress these layers; raises NmforgeError naming one that is not finite or that a window does not divide."""
        name = next(iter(weights))
        inputs = next((found for end, found in self.inputs.items() if name.endswith(end)), None)
        group = LayerGroup.stack(weights, stats, self.point.for_layer(name), self.masks)
        _check_finite(group)
        changes: list[InputChange] = []
        for transform in TRANSFORMS:
            if transform.name not in self.point.transforms or (transform.needs_sparse and group.pattern.is_dense):
                continue
            change = transform.find(group, inputs)
            if change is not None:
                changes.append(change)
                group = change.apply(group)
        return Solved(_compress_alike(group, self.point), tuple(changes))


def _compress_alike(group: LayerGroup, point: DesignPoint) -> dict[str, CompressedLinear]:
    """`compress_group` for those layers that keep every weight, and for the others."""
    alike: dict[DesignPoint, list[str]] = {}
    for name in group.rows:
        alike.setdefault(point.for_layer(name), []).append(name)
    solved: dict[str, CompressedLinear] = {}
    for own, names in alike.items():
        solved |= compress_group(group if len(alike) == 1 else group.select(names, own), own)
    return {name: solved[name] for name in group.rows}


def compress_layers(
    weights: Mapping[str, Tensor], stats: InputStats, point: DesignPoint, masks: Mapping[str, Tensor] = NO_MASKS
) -> dict[str, CompressedLinear]:
    """Layers float32[N, K] that read the same inputs -> codes, masks and scales; the point's transforms are left out.

    masks: of every layer, bool[N, K], where the pruner takes them from a file.
    """
    return compress_group(LayerGroup.stack(weights, stats, point, masks), point)


def compress_group(group: LayerGroup, point: DesignPoint) -> dict[str, CompressedLinear]:
    """Correct, prune and quantize layers together: rows do not depend on each other, and factors are shared."""
    for name in group.rows:
        group.pattern.check_divides(group.weight.shape[1], name)
    _check_finite(group)
    group = replace(group, weight=toward_dense(group.weight, group.stats, group.name))
    pruned = _prune(group, point)
    quantize = QUANTIZERS.get(point.quantizer).quantize
    together = _as_linear(quantize(replace(group, weight=pruned.weight), pruned.keep_mask), point)
    return {name: together.take_rows(rows) for name, rows in group.rows.items()}


def _prune(group: LayerGroup, point: DesignPoint) -> Pruned:
    """The weights and mask that the point's pruner leaves."""
    if point.pruner == NO_PRUNER:
        return Pruned(group.weight, None)
    return PRUNERS.get(point.pruner).prune(group)


def _check_finite(group: LayerGroup) -> None:
    """Raise NmforgeError naming the layer whose weights or inputs are not finite."""
    for name, weight in zip(group.rows, group.layers(), strict=True):
        if not torch.isfinite(weight).all():
            raise NmforgeError(f"{name}: its weights are not finite; check the checkpoint")
    if not torch.isfinite(group.stats.sum_of_squares).all():
        raise NmforgeError(f"{group.name}: its inputs are not finite; check the weights before it, norms too")


def _as_linear(found: Quantized, point: DesignPoint) -> CompressedLinear:
    size = found.codes.shape[1] // found.group_mult.shape[1]
    arrays = [tensor.cpu().numpy() for tensor in found]
    return CompressedLinear(point.pattern, point.bits, size, *arrays)
