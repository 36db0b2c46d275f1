"""SparseGPT: the mask is chosen while the weights are quantized (Frantar and Alistarh 2023, arXiv 2301.00774).

`quantization.gptq` chooses each window when it reaches it, by weights that have already made up for earlier errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmforge.compression.pruning.registry import REGISTRY, Pruned, Pruner

if TYPE_CHECKING:
    from nmforge.compression.layer_group import LayerGroup


def leave_to_quantizer(group: LayerGroup) -> Pruned:
    """The weights as they are, and no mask yet."""
    return Pruned(group.weight, None)


REGISTRY.add(
    Pruner("sparsegpt", "chooses the mask inside the quantizer", leave_to_quantizer, calibrated=True, joint=True)
)
