"""GPTQ, and SparseGPT with quantization in the same pass (Frantar et al. 2022, arXiv 2210.17323; 2023, 2301.00774).

Symbols: W[N, K] weights, H = X X^T + lambda I the damped Gram matrix, U the upper Cholesky factor of H^-1.
Column k is rounded (or pruned) to q_k; its error e = (w_k - q_k) / U[k, k] is pushed onto the columns to come,
W[:, j] -= e U[k, j] for j > k. With no mask given, each window keeps the weights of largest w^2 / U[k, k]^2 at the
moment it is reached. Arrays are held transposed, K first, so that one column is contiguous.

Columns are solved in the order of their inputs' activity. The scale of a group is chosen when the group is reached:
of some clipped ranges the one with the least sum of (w_k - q_k)^2 / U[k, k]^2 over the weights likely to be kept.
Errors are pushed in three steps of growing reach, which changes the order of the sums and nothing else:

    column  ->  rest of its panel (8 columns, whole windows)   ->  rest of its group  ->  all later columns
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmforge.compression.pruning.masks import keep_largest_columns
from nmforge.compression.quantization.registry import REGISTRY, Quantizer
from nmforge.compression.quantization.scales import Quantized, group_absmax, row_scales, search_multipliers, to_codes
from nmforge.core.lazy import torch
from nmforge.linalg.hessian import inverse_factor, permuted

if TYPE_CHECKING:
    from torch import Tensor

    from nmforge.compression.layer_group import LayerGroup
    from nmforge.core.formats import Pattern, QuantScheme

PANEL = 8  # columns; short enough that a column's errors touch few values, long enough for matrix products
HEADROOM = 1.5  # compensation makes later weights grow; the row scale leaves room for it


@dataclass(frozen=True)
class Columns:
    """A layer while it is solved, K first, columns in the order they are solved; `codes` and `kept` are filled here.

    weights: float32[K, N], not rounded yet. factor: U, float32[K, K]. kept: float32[K, N], 1 = kept, 0 = pruned.
    codes: float32[K, N]. choose: whether `kept` is chosen here (SparseGPT).
    """

    weights: Tensor
    factor: Tensor
    kept: Tensor
    codes: Tensor
    scheme: QuantScheme
    pattern: Pattern
    choose: bool


def quantize(group: LayerGroup, keep_mask: Tensor | None) -> Quantized:
    """All layers at once: their rows do not depend on each other, and the factor is shared."""
    return gptq(group.weight, group.stats.gram, group.pattern, group.scheme, keep_mask, group.name)


def gptq(
    weight: Tensor, gram: Tensor, pattern: Pattern, scheme: QuantScheme, keep_mask: Tensor | None, where: str
) -> Quantized:
    """float32[N, K] with the Gram matrix float32[K, K] of its inputs -> codes, mask and scales.

    keep_mask None lets the solver choose the mask (SparseGPT). Raises NmforgeError naming `where` on a Gram matrix
    that stays singular.
    """
    rows, k = weight.shape
    size, groups = scheme.groups(k, where)
    order = activation_order(gram.diagonal(), size, pattern)
    factor = inverse_factor(permuted(gram, order), where)
    weights = weight.T[order]  # [K, N], a copy
    weights[gram.diagonal()[order] == 0] = 0
    row_scale = row_scales(group_absmax(weights.T, size), scheme, HEADROOM)
    kept = torch.ones_like(weights) if keep_mask is None else keep_mask.T[order].float()
    choose = keep_mask is None and not pattern.is_dense
    columns = Columns(weights, factor, kept, torch.zeros_like(weights), scheme, pattern, choose)
    mult = torch.ones(groups, rows)
    for group in range(groups):
        start, stop = group * size, (group + 1) * size
        block, pivots = weights[start:stop], factor.diagonal()[start:stop, None]
        likely = keep_largest_columns((block / pivots).square(), pattern) if choose else kept[start:stop]
        mult[group] = search_multipliers(block * likely, pivots.square().reciprocal(), row_scale, scheme)
        errors = _solve_group(columns, start, stop, mult[group] * row_scale)
        _push(weights[stop:], factor[start:stop, stop:], errors)
    place, group_place = order.argsort(), (order[::size] // size).argsort()
    codes = columns.codes[place].T.contiguous().to(torch.int8)
    return Quantized(codes, kept[place].T.bool(), mult[group_place].T.contiguous().to(torch.uint8), row_scale)


def activation_order(diagonal: Tensor, size: int, pattern: Pattern) -> Tensor:
    """Columns in the order they are solved, int64[K]: groups, and in them windows, most active inputs first.

    The first columns have the most columns left to make up for their errors (the `act-order` of the GPTQ authors'
    code). Groups stay whole, and windows where they divide a group, so the stored layout is the same.
    """
    window = 1 if size % pattern.window else pattern.window
    windows = diagonal.reshape(-1, size // window, window)
    inside = windows.sum(dim=2).argsort(dim=1, descending=True, stable=True)
    groups = windows.sum(dim=(1, 2)).argsort(descending=True, stable=True)
    places = torch.arange(len(diagonal)).reshape(windows.shape)
    return places[groups[:, None], inside[groups]].reshape(-1)


def _solve_group(columns: Columns, start: int, stop: int, step: Tensor) -> Tensor:
    """Round the columns of one group in place, with steps float32[N]; returns the scaled errors float32[G, N]."""
    block, factor, pattern = columns.weights[start:stop], columns.factor, columns.pattern
    errors = torch.empty_like(block)
    pivots = factor.diagonal()[start:stop].tolist()
    panel = math.lcm(PANEL, pattern.window)
    for first in range(0, stop - start, panel):
        last = min(first + panel, stop - start)
        for i in range(first, last):
            k = start + i
            if columns.choose and k % pattern.window == 0:
                _choose_window(columns, k)
            code = torch.mul(to_codes(block[i], step, columns.scheme), columns.kept[k], out=columns.codes[k])
            torch.addcmul(block[i], code, step, value=-1, out=errors[i]).div_(pivots[i])
            _push(block[i + 1 : last], factor[k : k + 1, k + 1 : start + last], errors[i : i + 1])
        _push(block[last:], factor[start + first : start + last, start + last : stop], errors[first:last])
    return errors


def _push(columns: Tensor, factor: Tensor, errors: Tensor) -> None:
    """columns [c, N] -= factor[e, c]^T errors[e, N], in place."""
    if len(columns):
        columns.addmm_(factor.T, errors, alpha=-1)


def _choose_window(columns: Columns, k: int) -> None:
    """SparseGPT's choice for the window that starts at column k; all of it must lie in one group."""
    window = slice(k, k + columns.pattern.window)
    score = (columns.weights[window] / columns.factor.diagonal()[window, None]).square()
    columns.kept[window] = keep_largest_columns(score, columns.pattern)


REGISTRY.add(Quantizer("gptq", "makes later weights up for each error", quantize, calibrated=True, chooses_masks=True))
