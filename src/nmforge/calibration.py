"""Statistics of a block's inputs: one Gram matrix for each group of layers that read the same activations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nmforge.models.layers import INPUT_GROUPS, run_block


@dataclass
class InputStats:
    """count: tokens seen. gram: float32[K, K], sum over tokens of x x^T."""

    count: int
    gram: Tensor

    def add(self, x: Tensor) -> None:
        """Accumulate activations [..., K]."""
        flat = x.reshape(-1, x.shape[-1]).float()
        self.count += flat.shape[0]
        self.gram.addmm_(flat.T, flat)

    @property
    def sum_of_squares(self) -> Tensor:
        """float32[K]."""
        return self.gram.diagonal()


def capture_block(model: Any, index: int, hidden: Iterable[Tensor]) -> dict[str, InputStats]:
    """Run block `index` on each [1, T, hidden] and gather the statistics of every linear layer's input."""
    block = model.model.layers[index]
    stats: dict[str, InputStats] = {}
    handles = []
    for group in INPUT_GROUPS:
        module = block.get_submodule(group[0])
        shared = InputStats(0, torch.zeros(module.in_features, module.in_features))
        handles.append(module.register_forward_pre_hook(lambda _module, args, s=shared: s.add(args[0])))
        stats |= dict.fromkeys(group, shared)
    try:
        for window in hidden:
            run_block(model, index, window)
    finally:
        for handle in handles:
            handle.remove()
    return stats
