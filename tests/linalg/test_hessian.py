"""Gram matrices inverted and factored, against NumPy's inverse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from factories.layers import correlated, stats_of

from nmforge.core.errors import NmforgeError
from nmforge.linalg.hessian import damped_inverse, inverse_factor, permuted


def test_a_singular_matrix_is_damped_more_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    indefinite = torch.tensor([[1.0, 1.05], [1.05, 1.0]])
    factor = inverse_factor(indefinite, "layer x")
    assert torch.allclose(factor.T @ factor @ (indefinite + 0.1 * torch.eye(2)), torch.eye(2), atol=1e-4)
    assert capsys.readouterr().err == "nmforge: layer x: its Gram matrix is singular at damping 0.01\n"
    with pytest.raises(NmforgeError, match="layer x: its Gram matrix stays singular; calibrate on more tokens"):
        inverse_factor(torch.full((2, 2), torch.nan), "layer x")


def test_damped_inverse_is_the_inverse_and_names_the_layer_that_has_none() -> None:
    gram = stats_of(correlated(100, 6)).gram
    wanted = np.linalg.inv(gram.double().numpy() + 3 * np.eye(6))
    assert np.allclose(damped_inverse(gram, 3.0, "w"), wanted, rtol=1e-4, atol=1e-6)
    for hopeless in (torch.full((2, 2), torch.nan), torch.tensor([[1.0, 3.0], [3.0, 1.0]])):
        with pytest.raises(NmforgeError, match=r"layer x: its Gram matrix plus 0\.2 stays singular; calibrate"):
            damped_inverse(hopeless, 0.2, "layer x")


def test_inverse_factor_inverts_the_damped_gram_matrix() -> None:
    gram = stats_of(correlated(100, 6)).gram
    factor = inverse_factor(gram, "w").double()
    damped = gram.double() + 0.01 * gram.diagonal().double().mean() * torch.eye(6, dtype=torch.float64)
    assert torch.allclose(factor.T @ factor @ damped, torch.eye(6, dtype=torch.float64), atol=1e-3)


def test_a_matrix_of_many_pieces_is_the_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    gram, order = stats_of(correlated(200, 50)).gram, torch.randperm(50, generator=torch.Generator().manual_seed(1))
    before, whole = gram.clone(), inverse_factor(gram, "w")
    monkeypatch.setattr("nmforge.linalg.hessian.COPIED", 16)
    assert torch.equal(permuted(gram, order), gram[order][:, order])
    assert torch.allclose(inverse_factor(gram, "w"), whole, rtol=1e-4, atol=1e-6)
    assert torch.equal(gram, before)
