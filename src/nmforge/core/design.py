"""The design point: one row of the design table, from pruner to group size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from nmforge.core.formats import DENSE, Pattern, QuantScheme

NO_PRUNER = NO_QUANTIZER = "none"  # of a dense pattern; of the bf16 design point


@dataclass(frozen=True)
class DesignPoint:
    """One row of the design table. `bits` = 16 leaves the linear layers in bf16.

    pruner, quantizer, transforms: names of the registries' entries. target: what calibration compares a layer's outputs
    with. `layer` = its own outputs before compression, on the inputs the compressed model gives it; `dense` = the dense
    model's outputs and residual stream. dense_layers: shell patterns of layer names; layers that match one keep every
    weight and have codes only.
    """

    id: str
    pattern: Pattern
    pruner: str
    quantizer: str
    bits: int
    group_size: int
    target: str = "layer"
    transforms: tuple[str, ...] = ()
    dense_layers: tuple[str, ...] = ()

    def for_layer(self, name: str) -> DesignPoint:
        """The design point as the layer of that name has it: without a pattern where `dense_layers` names it."""
        if not any(fnmatchcase(name, pattern) for pattern in self.dense_layers):
            return self
        return replace(self, pattern=DENSE, pruner=NO_PRUNER)

    @property
    def is_dense_bf16(self) -> bool:
        """True for the uncompressed reference point."""
        return self.bits == 16

    @property
    def scheme(self) -> QuantScheme:
        """The quantization scheme; raises for the uncompressed point, which has none."""
        return QuantScheme(self.bits, self.group_size)


def pattern_label(design: Mapping[str, Any]) -> str:
    """What tables call the pattern of a header's design: `2:4+dense` where some layers keep every weight."""
    return f"{design['pattern']}+dense" if design.get("dense_layers") else str(design["pattern"])
