"""Masks refined by swaps: in a window, a kept weight makes room for a pruned one.

After SparseSwaps (Zimmer et al. 2025, arXiv 2512.10922), where weights stay what they were; here the one that enters
gets its best value.

Let W have the pattern, V be the weights it imitates, and G = H (V - W), with 1 on the diagonal of H. If weight i leaves
and j of the same window enters with its best value t, the error (W - V)^T H (W - V) falls by

    t^2 - w_i^2 - 2 G_i w_i,    t = G_j + H_ij w_i

so the swaps of a window are compared by what they gain, and the best is made if it gains anything. Windows are visited
one after another, all columns of the layer at once; G follows every swap inside a panel of windows, and after the
panel by one matrix product. After each sweep the kept weights are fitted again. An input that was never active is
never given a place. Arrays are held transposed, K first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nmforge.compression.pruning.alps import refit, scaled_problem, split, unscaled
from nmforge.compression.pruning.registry import REGISTRY, Pruned, Pruner
from nmforge.core.lazy import torch
from nmforge.linalg.bf16 import add_products

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.layer_group import LayerGroup
    from nmforge.core.formats import Pattern

SWEEPS = 2
PANEL_INPUTS = 64  # inputs, whole windows


def prune(group: LayerGroup) -> Pruned:
    """Mask and weights by ALPS and swaps."""
    return alps_swaps(group.weight, group.stats.gram, group.pattern, group.name)


def alps_swaps(weight: Tensor, gram: Tensor, pattern: Pattern, where: str) -> Pruned:
    """What `alps` finds, its mask then refined by swaps; arguments, results and errors as there."""
    wanted, normal, scale = scaled_problem(weight, gram)
    kept, sparse = split(wanted, normal, pattern, where)
    sparse = refit(wanted, normal, kept, sparse)
    for _ in range(SWEEPS):
        sweep(wanted, normal, pattern, kept, sparse)
        sparse = refit(wanted, normal, kept, sparse)
    return unscaled(sparse, kept, scale)


def sweep(wanted: Tensor, normal: Tensor, pattern: Pattern, kept: Tensor, sparse: Tensor) -> None:
    """One visit of every window; changes the mask bool[K, N] and weights float32[K, N] in place."""
    gradient = add_products(torch.zeros_like(wanted), normal, wanted - sparse)
    size = math.lcm(pattern.window, PANEL_INPUTS)
    for first in range(0, len(wanted), size):
        last = min(first + size, len(wanted))
        panel, after = slice(first, last), slice(last, None)
        before, inside = sparse[panel].clone(), gradient[panel]
        for start in range(0, len(before), pattern.window):
            window = slice(first + start, first + start + pattern.window)
            change = swap_best(
                normal[window, window], inside[start : start + pattern.window], kept[window], sparse[window]
            )
            inside.addmm_(normal[panel, window], change, alpha=-1)
        if last < len(wanted):
            add_products(gradient[after], normal[panel, after], before.sub_(sparse[panel]))


def swap_best(normal: Tensor, gradient: Tensor, kept: Tensor, sparse: Tensor) -> Tensor:
    """Make the best swap in each column of one window, in place, where there is one that gains.

    normal: float32[window, window]. gradient, kept, sparse: [window, N]. Returns the change of the weights,
    float32[window, N].
    """
    count = len(normal)
    entering = gradient[None] + normal[:, :, None] * sparse[:, None]  # [leaves, enters, N]
    gain = entering.square() - (sparse * (sparse + 2 * gradient))[:, None]
    gain.masked_fill_(~kept[:, None] | kept[None] | (entering == 0), -torch.inf)
    best, pair = gain.flatten(0, 1).max(dim=0)
    columns = (best > 0).nonzero()[:, 0]
    leaves, enters = pair[columns] // count, pair[columns] % count
    before = sparse.clone()
    sparse[leaves, columns], kept[leaves, columns] = 0.0, False
    sparse[enters, columns], kept[enters, columns] = entering[leaves, enters, columns], True
    return sparse - before


REGISTRY.add(Pruner("alps-swaps", "refines the masks of alps by swaps", prune, calibrated=True))
