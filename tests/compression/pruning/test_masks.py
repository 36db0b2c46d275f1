"""Masks against enumeration, and two ways to rank a window."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from nmforge.compression.pruning.masks import keep_largest, places_by_comparison, places_by_sorting
from nmforge.core.formats import Pattern


def test_keep_largest_is_the_best_mask_by_enumeration() -> None:
    score = torch.rand(6, 8, generator=torch.Generator().manual_seed(1))
    for pattern in (Pattern(3, 8), Pattern(1, 8), Pattern(2, 4)):
        mask = keep_largest(score, pattern)
        for row, first in itertools.product(range(6), range(0, 8, pattern.window)):
            window = range(first, first + pattern.window)
            best = max(itertools.combinations(window, pattern.keep), key=lambda c, r=row: sum(score[r, list(c)]))
            assert tuple(first + np.flatnonzero(mask[row, first : first + pattern.window])) == best


def test_wide_windows_are_chosen_like_narrow_ones() -> None:
    score = torch.randint(0, 5, (64, 7), generator=torch.Generator().manual_seed(9)).float()  # many ties
    for window in (4, 8, 16, 32):
        windows = score.reshape(-1, window, 7)
        assert (places_by_comparison(windows) == places_by_sorting(windows)).all()
