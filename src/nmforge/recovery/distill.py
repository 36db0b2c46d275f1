"""End-to-end distillation: the compressed model learns the next-token distribution of the dense one.

Loss: mean over positions of KL(p || q), p the dense model's distribution, q the student's. Its gradient with respect
to the student's logits is (q - p) / positions, so the loss and the gradient at the final hidden states come from one
walk over blocks of positions, and [positions, vocabulary] never reaches memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

BLOCK = 128  # positions whose logits are held at once
WARM_UP = 0.05  # share of the steps over which the learning rate rises
CLIP = 1.0  # largest norm of the gradient


def divergence(student: Tensor, teacher: Tensor, head: Tensor) -> tuple[float, Tensor]:
    """Mean KL in nats and its gradient [T, H] at the student's final hidden states [T, H]; head: [V, H]."""
    total, gradient = 0.0, torch.empty_like(student)
    for first in range(0, len(student), BLOCK):
        span = slice(first, first + BLOCK)
        p = (teacher[span] @ head.T).float().log_softmax(-1)
        q = (student[span] @ head.T).float().log_softmax(-1)
        dense = p.exp()
        total += float((dense * (p - q)).sum())
        gradient[span] = ((q.exp() - dense).to(head.dtype) @ head) / len(student)
    return total / len(student), gradient


def learning_rate(step: int, steps: int, highest: float) -> float:
    """Linear warm-up, then a cosine down to zero (Loshchilov and Hutter 2017, arXiv 1608.03983)."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return highest * (step + 1) / warm
    return highest * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) / 2


def batches(windows: int, batch: int, seed: int, first: int) -> Iterator[Tensor]:
    """Window numbers int64[batch] of step `first` and on: every window once in each pass, every pass shuffled anew."""
    position = first * batch
    while True:
        chosen = []
        for place in range(position, position + batch):
            order = np.random.default_rng([seed, place // windows]).permutation(windows)
            chosen.append(int(order[place % windows]))
        yield torch.tensor(chosen)
        position += batch


class Teacher:
    """The dense model's final hidden states of every window, computed when first asked for and kept."""

    def __init__(self, model: Any, windows: Tensor) -> None:
        """windows: int64[W, T] tokens."""
        self.model, self.windows = model, windows
        self.hidden: dict[int, Tensor] = {}

    @property
    def head(self) -> Tensor:
        """[V, H]."""
        weight: Tensor = self.model.lm_head.weight.detach()
        return weight

    @torch.no_grad()
    def states(self, chosen: Tensor) -> Tensor:
        """Of the windows int64[B] -> [B * T, H]."""
        new = [number for number in chosen.tolist() if number not in self.hidden]
        if new:
            states = self.model.model(self.windows[new], use_cache=False).last_hidden_state
            self.hidden |= dict(zip(new, states, strict=True))
        return torch.cat([self.hidden[number] for number in chosen.tolist()])


def train_step(student: Any, teacher: Teacher, chosen: Tensor, optimizer: torch.optim.Optimizer, rate: float) -> float:
    """One update on the windows int64[B]; returns the loss before it. The head is the dense model's and stays."""
    wanted = teacher.states(chosen)
    hidden = student.model(teacher.windows[chosen], use_cache=False).last_hidden_state.flatten(0, 1)
    with torch.no_grad():
        loss, gradient = divergence(hidden.detach(), wanted, teacher.head)
    hidden.backward(gradient)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    torch.nn.utils.clip_grad_norm_(parameters, CLIP)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss
