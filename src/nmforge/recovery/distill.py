"""End-to-end distillation: the compressed model learns the next-token distribution of the dense one.

Loss: mean over positions of KL(t || q), q the student's distribution and t = (1 - a) p + a e, where p is the dense
model's, e the hard label (all weight on the token that follows in the text) and a = hard_label_weight. Its gradient
with respect to the student's logits is (q - t) / positions, so KL(p || q) and the gradient at the final hidden states
come from one walk over blocks of positions, and [positions, vocabulary] never reaches memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

LOGIT_POSITIONS = {
    "cpu": 128,
    "cuda": 4096,
}  # positions whose logits are held at once: few in a cache, many to fill a GPU
WARM_UP = 0.05  # share of the steps over which the learning rate rises
BETAS = (0.9, 0.95)  # of Adam
CLIP = 1.0  # largest norm of the gradient
IGNORE_INDEX = -1  # no token follows


def divergence(
    student: Tensor, teacher: Tensor, head: Tensor, following: Tensor, hard_label_weight: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Mean KL(p || q) in nats, and the loss's gradient [T, H] at the student's final hidden states [T, H].

    head: [V, H]. following: int64[T], the next token, or IGNORE_INDEX where the sequence ends; there t = p. The mean is
    a tensor, so that a GPU is not waited for.
    """
    total, gradient = torch.zeros((), dtype=torch.float64, device=student.device), torch.empty_like(student)
    block = LOGIT_POSITIONS[student.device.type]
    for first in range(0, len(student), block):
        span = slice(first, first + block)
        p = (teacher[span] @ head.T).float().log_softmax(-1)
        q = (student[span] @ head.T).float().log_softmax(-1)
        dense = p.exp()
        total += (dense * (p - q)).sum()
        target = _mixed(dense, following[span], hard_label_weight) if hard_label_weight else dense
        gradient[span] = ((q.exp() - target).to(head.dtype) @ head) / len(student)
    return total / len(student), gradient


def _mixed(dense: Tensor, following: Tensor, hard_label_weight: float) -> Tensor:
    """The target t [T, V] of the loss."""
    known = (following != IGNORE_INDEX).to(dense.dtype)[:, None]
    target = dense * (1 - hard_label_weight * known)
    return target.scatter_add_(1, following.clamp(min=0)[:, None], hard_label_weight * known)


def next_tokens(sequences: Tensor) -> Tensor:
    """int64[B, T] -> int64[B * T]: the token after each, IGNORE_INDEX after the last of a sequence."""
    return torch.nn.functional.pad(sequences[:, 1:], (0, 1), value=IGNORE_INDEX).flatten()


def learning_rate(step: int, steps: int, highest: float) -> float:
    """Linear warm-up, then a cosine down to zero (Loshchilov and Hutter 2017, arXiv 1608.03983)."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return highest * (step + 1) / warm
    return highest * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) / 2


def batches(sequences: int, batch: int, seed: int, first: int) -> Iterator[Tensor]:
    """Sequence numbers int64[batch] from step `first` on: each sequence once in a pass, each pass shuffled anew."""
    position = first * batch
    while True:
        chosen = []
        for place in range(position, position + batch):
            order = np.random.default_rng([seed, place // sequences]).permutation(sequences)
            chosen.append(int(order[place % sequences]))
        yield torch.tensor(chosen)
        position += batch


class Teacher:
    """The dense model's final hidden states of every sequence, computed when first asked for and kept."""

    def __init__(self, model: Any, sequences: Tensor) -> None:
        """sequences: int64[S, T] tokens, where the model is."""
        self.model, self.sequences = model, sequences
        self.hidden: dict[int, Tensor] = {}

    @property
    def head(self) -> Tensor:
        """[V, H]."""
        weight: Tensor = self.model.lm_head.weight.detach()
        return weight

    @torch.no_grad()
    def states(self, chosen: Tensor) -> Tensor:
        """Of the sequences int64[B] -> [B * T, H]."""
        new = [number for number in chosen.tolist() if number not in self.hidden]
        if new:
            states = self.model.model(self.sequences[new], use_cache=False).last_hidden_state
            self.hidden |= dict(zip(new, states, strict=True))
        return torch.cat([self.hidden[number] for number in chosen.tolist()])


def train_step(
    student: Any,
    teacher: Teacher,
    chosen: Tensor,
    optimizer: torch.optim.Optimizer,
    rate: float,
    hard_label_weight: float,
) -> Tensor:
    """One update on the sequences int64[B]; returns the KL before it. The head is the dense model's and stays."""
    wanted, sequences = teacher.states(chosen), teacher.sequences[chosen]
    hidden = student.model(sequences, use_cache=False).last_hidden_state.flatten(0, 1)
    with torch.no_grad():
        loss, gradient = divergence(hidden.detach(), wanted, teacher.head, next_tokens(sequences), hard_label_weight)
    hidden.backward(gradient)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    torch.nn.utils.clip_grad_norm_(parameters, CLIP)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss
