"""Pruners by a score, against hand-made cases and formulas."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from factories.layers import design_point, stats_of

from nmforge.compression.calibration.statistics import NO_TEXT, InputStats
from nmforge.compression.layer_group import LayerGroup
from nmforge.compression.pruning.magnitude import magnitude_score
from nmforge.compression.pruning.masks import by_score, keep_largest
from nmforge.compression.pruning.ria import ria_score
from nmforge.compression.pruning.wanda import wanda_score
from nmforge.core.formats import Pattern

Score = Callable[[torch.Tensor, InputStats], torch.Tensor]


def mask_by(score: Score, weight: torch.Tensor, stats: InputStats) -> torch.Tensor:
    """The mask 2:4 of one layer; its weights stay as they are."""
    group = LayerGroup.stack({"w": weight}, stats, design_point(Pattern(2, 4), "any", "rtn"), {})
    pruned = by_score(score)(group)
    assert torch.equal(pruned.weight, weight)
    assert pruned.keep_mask is not None
    return pruned.keep_mask


def test_magnitude_keeps_the_largest_and_the_earlier_of_a_tie() -> None:
    weight = torch.tensor([[1.0, -3.0, 2.0, 0.5, 0.0, 0.0, 0.0, 0.0]])
    mask = mask_by(magnitude_score, weight, NO_TEXT)
    assert mask.tolist() == [[False, True, True, False, True, True, False, False]]


def test_wanda_weighs_by_input_norm() -> None:
    x = torch.diag(torch.tensor([10.0, 1.0, 1.0, 1.0]))
    mask = mask_by(wanda_score, torch.tensor([[1.0, 2.0, 3.0, 4.0]]), stats_of(x))
    assert mask.tolist() == [[True, False, False, True]]


def test_ria_is_its_formula_and_saves_a_weak_column() -> None:
    generator = torch.Generator().manual_seed(11)
    weight, x = torch.randn(5, 8, generator=generator), torch.randn(20, 8, generator=generator)
    score = np.zeros((5, 8))
    for n, k in itertools.product(range(5), range(8)):
        size = abs(float(weight[n, k]))
        relative = size / float(weight[n].abs().sum()) + size / float(weight[:, k].abs().sum())
        score[n, k] = relative * float(x[:, k].norm()) ** 0.5
    assert (mask_by(ria_score, weight, stats_of(x)) == keep_largest(torch.tensor(score), Pattern(2, 4))).all()
    weak = torch.tensor([[1.0, 1.0, 1.0, 0.4], [1.0, 1.0, 1.0, 0.0]])  # the last input's only weight
    assert mask_by(ria_score, weak, stats_of(torch.eye(4)))[0, 3]
    assert not mask_by(wanda_score, weak, stats_of(torch.eye(4)))[0, 3]
