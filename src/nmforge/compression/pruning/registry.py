"""Pruners: which weights of each window are kept.

Every pruner has one contract: it takes layers that read the same inputs, and returns their weights and mask. One that
only scores weights is `by_score` of `masks` with a function of its own; one that solves for the kept weights returns
them moved; a joint one returns no mask, since the quantizer chooses it as it moves the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from nmforge.core.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.layer_group import LayerGroup


class Pruned(NamedTuple):
    """weight: float32[N, K]. keep_mask: bool[N, K], True = kept; None where every weight is, or a quantizer chooses."""

    weight: Tensor
    keep_mask: Tensor | None


@dataclass(frozen=True)
class Pruner:
    """One pruner, and what it needs of a design point.

    calibrated: it reads calibration text. joint: it leaves the mask to a quantizer that chooses one. reads_magnitude:
    it compares |w| across input channels, which scaling them would change. permutable: the inputs may have been
    reordered. patterns: the only ones it has, all if empty. masks_from: verb that writes the file its masks come from.
    """

    name: str
    summary: str
    prune: Callable[[LayerGroup], Pruned]
    calibrated: bool = False
    joint: bool = False
    reads_magnitude: bool = False
    permutable: bool = True
    patterns: tuple[str, ...] = ()
    masks_from: str = ""


REGISTRY: Registry[Pruner] = Registry("pruner")
