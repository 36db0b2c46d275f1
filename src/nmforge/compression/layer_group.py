"""What pruners, quantizers and transforms are given: layers that read the same inputs, one below the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from nmforge.core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.calibration.statistics import InputStats
    from nmforge.core.design import DesignPoint
    from nmforge.core.formats import Pattern, QuantScheme


@dataclass(frozen=True)
class LayerGroup:
    """Layers that read the same inputs, and what a design point asks of them.

    weight: float32[N, K], the rows of all layers. rows: those of each layer, by its name. stats: of the inputs; of no
    token where the design point reads no calibration text. masks: bool[N, K] of each layer, True = kept, where the
    pruner takes them from a file.
    """

    weight: Tensor
    rows: Mapping[str, slice]
    stats: InputStats
    pattern: Pattern
    scheme: QuantScheme
    masks: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def stack(
        cls, weights: Mapping[str, Tensor], stats: InputStats, point: DesignPoint, masks: Mapping[str, Tensor]
    ) -> LayerGroup:
        """From the weights float32[N, K] of each layer."""
        rows = _places({name: len(weight) for name, weight in weights.items()})
        return cls(torch.cat(list(weights.values())), rows, stats, point.pattern, point.scheme, masks)

    @property
    def name(self) -> str:
        """The first layer's, which errors of the whole group give."""
        return next(iter(self.rows))

    def layers(self) -> Iterator[Tensor]:
        """The weight [N, K] of each layer."""
        return (self.weight[rows] for rows in self.rows.values())

    def select(self, names: Iterable[str], point: DesignPoint) -> LayerGroup:
        """Some of the layers, with the pattern and scheme of another design point."""
        weights = {name: self.weight[self.rows[name]] for name in names}
        return LayerGroup.stack(weights, self.stats, point, self.masks)


def _places(counts: Mapping[str, int]) -> dict[str, slice]:
    """Where the rows of each layer are once all are stacked in order."""
    ends = accumulate(counts.values())
    return {name: slice(end - count, end) for (name, count), end in zip(counts.items(), ends, strict=True)}
