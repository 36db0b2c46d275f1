"""The two changes of input channels that whatever writes them can take over: another order, and factors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.layer_group import LayerGroup


@dataclass(frozen=True)
class ChannelOrder:
    """inputs: int64[K], column j of the stored layer is input inputs[j]. writers: int64[C], the same for the rows of
    the layers that write these inputs."""

    inputs: Tensor
    writers: Tensor

    def apply(self, group: LayerGroup) -> LayerGroup:
        """The layers with their columns, and the statistics of their inputs, in this order."""
        return replace(group, weight=group.weight[:, self.inputs], stats=group.stats.reordered(self.inputs))

    def undo(self, weight: Tensor) -> Tensor:
        """The weight [N, K] of a stored layer with its columns in the order they had."""
        return weight[:, self.inputs.argsort()]


@dataclass(frozen=True)
class ChannelFactors:
    """factors: float32[K], powers of two that the inputs are divided by and the weights multiplied with."""

    factors: Tensor

    def apply(self, group: LayerGroup) -> LayerGroup:
        """The layers, and the statistics of their inputs, at this scale."""
        return replace(group, weight=group.weight * self.factors, stats=group.stats.scaled(self.factors))

    def undo(self, weight: Tensor) -> Tensor:
        """The weight [N, K] of a stored layer at the scale it had."""
        return weight / self.factors.cpu()


InputChange: TypeAlias = ChannelOrder | ChannelFactors
