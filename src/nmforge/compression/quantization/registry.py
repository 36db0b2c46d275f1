"""Quantizers: integer codes and the two-level scale.

Every quantizer has one contract: it takes layers that read the same inputs, their weights as the pruner left them, and
a mask, and returns codes and scales. Without a mask a dense pattern keeps every weight; in a sparse one the quantizer
chooses, which only those with `chooses_masks` are asked to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmforge.core.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.layer_group import LayerGroup
    from nmforge.compression.quantization.scales import Quantized


@dataclass(frozen=True)
class Quantizer:
    """One quantizer, and what it needs of a design point.

    quantize: (layers, keep_mask bool[N, K] or None) -> Quantized. calibrated: it reads calibration text.
    chooses_masks: it chooses the mask itself where it is given None. reads_magnitude: a step depends on |w| of many
    input channels, which scaling them would change.
    """

    name: str
    summary: str
    quantize: Callable[[LayerGroup, Tensor | None], Quantized]
    calibrated: bool = False
    chooses_masks: bool = False
    reads_magnitude: bool = False


REGISTRY: Registry[Quantizer] = Registry("quantizer")
