"""One scale for the whole tensor."""

from __future__ import annotations

import numpy as np
import torch
from factories.layers import compress_one
from factories.layers import design_point as point

from nmforge.compression.calibration.statistics import NO_TEXT
from nmforge.core.formats import Pattern


def test_paper_point_has_one_scale() -> None:
    weight = torch.randn(6, 16, generator=torch.Generator().manual_seed(6))
    made = compress_one(weight, NO_TEXT, point(Pattern(2, 4), "magnitude", "tensor-absmax", 0), "w")
    assert len(set(made.row_scale.tolist())) == 1
    assert (made.group_mult == 1).all()
    assert np.abs(made.codes).max() == 7
