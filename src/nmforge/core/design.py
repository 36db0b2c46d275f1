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


INHERITED = ("pattern", "pruner", "quantizer", "bits", "group_size", "target", "transforms", "dense_layers")


def inherit_compression(block: dict[str, Any], by_id: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    """A block of the config with the compression of the design point that its recovery starts from.

    by_id: all blocks. Raises ValueError where there is no such point, or the block has settings of its own.
    """
    recovery = block.get("recovery")
    if not isinstance(recovery, dict):
        return block
    start = by_id.get(recovery.get("start"))
    of_start = start.get("recovery") if start else None
    chained = isinstance(of_start, dict) and of_start.get("scope") == "block" and recovery.get("scope") != "block"
    if start is not None and chained:
        start = inherit_compression(start, by_id)
    if start is None or (of_start and not chained) or start.get("bits", 16) == 16:
        raise ValueError(
            f"recovery.start of {block.get('id')} must name a compressed design point that is not trained, or, for "
            "scope model, one trained with scope block"
        )
    own = sorted(key for key in INHERITED if key in block and block[key] != start.get(key))
    if own:
        raise ValueError(f"{own[0]} of {block.get('id')} is inherited from recovery.start; remove it")
    return {**block, **{key: start[key] for key in INHERITED if key in start}}
