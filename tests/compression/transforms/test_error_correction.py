"""A layer held to the dense model against a least-squares solver."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from factories.layers import cached as held
from factories.layers import stats_of

from nmforge.compression.calibration.statistics import Streams, gather
from nmforge.compression.transforms.error_correction import RIDGE_DAMPINGS, toward_dense


@pytest.mark.parametrize("adds_to_the_stream", [False, True])
def test_a_layer_held_to_the_dense_model_is_the_ridge_regression_on_its_outputs(adds_to_the_stream: bool) -> None:
    generator = torch.Generator().manual_seed(21)
    x, dense = (torch.randint(-9, 10, (60, 8), generator=generator).float() for _ in range(2))
    weight = torch.randn(5, 8, generator=generator)
    residual_error = torch.randint(-9, 10, (60, 5), generator=generator).float()
    outputs = x @ weight.T + residual_error if adds_to_the_stream else dense @ weight.T
    stats = gather(
        Streams(held(x), held(dense)), residual_error=(lambda _index: residual_error) if adds_to_the_stream else None
    )
    found = toward_dense(weight, stats, "w")
    ridge = float(RIDGE_DAMPINGS[0] * stats.gram.diagonal().mean()) ** 0.5
    rows = np.vstack([x.numpy(), ridge * np.eye(8)])
    wanted = np.vstack([outputs.numpy(), ridge * weight.T.numpy()])
    best = np.linalg.lstsq(rows.astype(np.float64), wanted.astype(np.float64), rcond=None)[0].T
    assert np.allclose(found.numpy(), best, rtol=1e-4, atol=1e-4)
    assert torch.equal(toward_dense(weight, stats_of(x), "w"), weight)
