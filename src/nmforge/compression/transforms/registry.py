"""Transforms: what is done to the input channels of layers before they are pruned and rounded.

Every transform has one contract: it takes layers that read the same inputs and returns a change of these inputs, or
None where it leaves them alone. Whatever writes the inputs takes the change over, so it costs nothing at run time.
`error_correction` is no entry: it is what `target: dense` means, and changes weights only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmforge.core.registry import Registry

if TYPE_CHECKING:
    from nmforge.compression.layer_group import LayerGroup
    from nmforge.compression.transforms.input_change import InputChange
    from nmforge.models.llama import InputGroups


@dataclass(frozen=True)
class Transform:
    """One transform. It reads statistics of the inputs, so a design point that has one is calibrated.

    find: (layers, the groups in which their inputs may change places; None where they may not) -> the change. order: a
    transform of a lower one is applied first. reorders: input channels change places. scales: they change magnitude.
    needs_sparse: it does nothing for a dense pattern.
    """

    name: str
    summary: str
    find: Callable[[LayerGroup, InputGroups | None], InputChange | None]
    order: int
    reorders: bool = False
    scales: bool = False
    needs_sparse: bool = False


REGISTRY: Registry[Transform] = Registry("transform")
