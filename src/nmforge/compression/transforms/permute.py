"""Input channels reordered so that windows of N:M keep more (Pool and Yu 2021, "Channel Permutations", NeurIPS 2021).

A window must drop weights even where all of its inputs matter. The inputs of a down projection are the outputs of the
gate and up projections, channel by channel, and those of an output projection are the value projection's, channel by
channel within a head: their rows can be stored in another order, and nothing is reordered at run time.

An order is better the more of  sum w[n, k]^2 E[x_k^2]  the kept weights hold. It is improved by swaps: windows are
paired at random, a channel of one is tried at the place of a channel of the other, and the better order stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmforge.compression.transforms.input_change import ChannelOrder
from nmforge.compression.transforms.registry import REGISTRY, Transform
from nmforge.core.lazy import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from nmforge.compression.layer_group import LayerGroup
    from nmforge.core.formats import Pattern
    from nmforge.models.llama import InputGroups

ROUNDS = 500  # in each, every window takes part in one try
COMPARED_ROWS = 1024  # output channels that are looked at, spread over all
SEED = 0


def find_order(group: LayerGroup, inputs: InputGroups | None) -> ChannelOrder | None:
    """The order for layers whose inputs may change places, if whole windows fit into their groups."""
    if inputs is None or inputs.size % group.pattern.window:
        return None
    return channel_order(group.weight.square() * group.stats.sum_of_squares, group.pattern, inputs)


def channel_order(score: Tensor, pattern: Pattern, inputs: InputGroups) -> ChannelOrder:
    """Order of the inputs of a layer with the score float32[N, K] of each weight, every row's sum being fixed.

    Channels stay within their groups. The order is found on the CPU, wherever `score` is, and the same everywhere: its
    tries are many and small.
    """
    span, shared = inputs.size, inputs.shared_by
    with torch.device("cpu"):
        rows = score[:: max(1, len(score) // COMPARED_ROWS)].cpu()
        folded = rows.view(len(rows), -1, shared, span).transpose(1, 2).reshape(len(rows) * shared, -1)
        writers = improved(folded, pattern, span)
        within = (writers % span).view(-1, 1, span)  # of each group of spans
        starts = torch.arange(0, score.shape[1], span).view(-1, shared, 1)
        return ChannelOrder((starts + within).reshape(-1), writers)


def improved(score: Tensor, pattern: Pattern, span: int) -> Tensor:
    """Order int64[K] of the columns of float32[N, K] that keeps them within their spans."""
    generator = torch.Generator().manual_seed(SEED)
    order = torch.arange(score.shape[1]).view(-1, pattern.window)  # windows of channels
    columns, per_span = score.T.contiguous(), span // pattern.window
    held = _retained(columns, order, pattern)
    for _ in range(ROUNDS):
        pair = _pairs(len(order) // per_span, per_span, generator)
        place = torch.randint(pattern.window, pair.shape, generator=generator)
        number = torch.arange(pair.shape[1])
        tried = order[pair]  # [2, P, window]
        tried[0, number, place[0]], tried[1, number, place[1]] = order[pair[1], place[1]], order[pair[0], place[0]]
        new = _retained(columns, tried.view(-1, pattern.window), pattern).view(2, -1)
        better = new.sum(dim=0) > held[pair].sum(dim=0)
        order[pair[:, better]], held[pair[:, better]] = tried[:, better], new[:, better]
    return order.view(-1)


def _pairs(spans: int, per_span: int, generator: Generator) -> Tensor:
    """Windows paired at random inside their spans: int64[2, P]; an odd one is left out."""
    shuffled = torch.stack([torch.randperm(per_span, generator=generator) for _ in range(spans)])
    shuffled = shuffled + per_span * torch.arange(spans)[:, None]
    half = per_span // 2
    return torch.stack([shuffled[:, :half].reshape(-1), shuffled[:, half : 2 * half].reshape(-1)])


def _retained(columns: Tensor, windows: Tensor, pattern: Pattern) -> Tensor:
    """Score that windows of channels int64[W, window] keep, columns float32[K, N] being scored -> float32[W]."""
    left = [columns[windows[:, place]] for place in range(pattern.window)]  # each [W, N]
    total = torch.zeros(len(windows))
    for _ in range(pattern.keep):  # takes the largest out
        largest = left.pop()
        for place, other in enumerate(left):
            left[place], largest = torch.minimum(other, largest), torch.maximum(other, largest)
        total += largest.sum(dim=1)
    return total


REGISTRY.add(
    Transform(
        "permute", "reorders the inputs of output and down projections so that windows keep more", find_order, order=1,
        reorders=True, needs_sparse=True,
    )
)  # fmt: skip
