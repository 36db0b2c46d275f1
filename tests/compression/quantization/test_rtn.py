"""Rounding to nearest, and one scale for the whole tensor."""

from __future__ import annotations

import torch

from nmforge.compression.quantization.rtn import rtn
from nmforge.core.formats import QuantScheme


def test_rtn_is_within_half_a_step() -> None:
    weight = torch.randn(4, 32, generator=torch.Generator().manual_seed(2))
    found = rtn(weight, torch.ones_like(weight, dtype=torch.bool), QuantScheme(4, 8))
    step = (found.group_mult.float() * found.row_scale[:, None]).repeat_interleave(8, 1)
    # rounding the multiplier clips the largest code by at most half a multiplier unit, seven times
    slack = 3.5 * found.row_scale[:, None]
    assert ((weight - found.codes * step).abs() <= step / 2 + slack).all()
    assert found.codes.min() >= -8
    assert found.codes.max() <= 7
