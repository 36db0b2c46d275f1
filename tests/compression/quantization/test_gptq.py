"""GPTQ and SparseGPT against the textbook: elimination column by column in float64."""

from __future__ import annotations

import pytest
import torch
from factories.layers import compress_one, correlated, stats_of
from factories.layers import design_point as point

from nmforge.compression.quantization.gptq import activation_order, gptq
from nmforge.core.formats import DENSE, Pattern, QuantScheme


def test_gptq_with_uncorrelated_inputs_is_rounding_to_the_same_grid() -> None:
    weight = torch.randn(5, 16, generator=torch.Generator().manual_seed(3))
    found = gptq(weight, torch.eye(16), DENSE, QuantScheme(4, 16), torch.ones_like(weight, dtype=torch.bool), "w")
    step = found.group_mult.float() * found.row_scale[:, None]
    assert (found.codes == (weight / step).round().clamp(-8, 7)).all()


def test_dead_inputs_get_code_zero() -> None:
    x = correlated(64, 16)
    x[:, 5] = 0
    linear = compress_one(torch.ones(3, 16), stats_of(x), point(DENSE, "none", "gptq"), "w")
    assert not linear.codes[:, 5].any()


@pytest.mark.parametrize("text", ["2:4", "4:8", "1:4", "1:8"])
def test_sparsegpt_masks_have_the_pattern(text: str) -> None:
    weight = torch.randn(6, 32, generator=torch.Generator().manual_seed(5))
    made = compress_one(weight, stats_of(correlated(64, 32)), point(Pattern.parse(text), "sparsegpt", "gptq"), "w")
    made.check("w")


def textbook_gptq(
    weight: torch.Tensor, gram: torch.Tensor, size: int, pattern: Pattern
) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes and mask by optimal brain surgeon, column by column in float64: the inverse is shrunk by elimination, no
    Cholesky factor; a window keeps the weights whose removal costs most, w^2 / variance, when it is reached."""
    w, k, h = weight.double().clone(), weight.shape[1], gram.double()
    window = pattern.window
    activity = h.diagonal().tolist()
    groups = sorted(range(0, k, size), key=lambda g: -sum(activity[g : g + size]))
    windows = [sorted(range(g, g + size, window), key=lambda c: -sum(activity[c : c + window])) for g in groups]
    start = torch.linalg.inv(h + 0.01 * h.diagonal().mean() * torch.eye(k, dtype=torch.float64))
    inverses = eliminated(start, [c + i for group in windows for c in group for i in range(window)])
    variance = torch.tensor([inverses[c][c, c] for c in range(k)])
    row_scale = 1.5 * weight.double().abs().amax(1) / (7 * 127)
    codes, kept = torch.zeros_like(w), torch.zeros_like(w, dtype=torch.bool)
    for group in windows:
        columns = [c + i for c in group for i in range(window)]
        likely = w * torch.cat([best_of_window(w**2 / variance, c, pattern) for c in range(0, k, window)], dim=1)
        step = torch.stack([best_step(likely[n, columns], row_scale[n], variance[columns]) for n in range(len(w))])
        for c in columns:
            if c % window == 0:
                kept[:, c : c + window] = best_of_window(w**2 / variance, c, pattern)
            codes[:, c] = (w[:, c] / step).round().clamp(-8, 7) * kept[:, c]
            w -= ((w[:, c] - codes[:, c] * step) / variance[c])[:, None] * inverses[c][c]
    return codes, kept


def best_of_window(score: torch.Tensor, first: int, pattern: Pattern) -> torch.Tensor:
    """bool[N, window]: the `keep` largest scores of the window that starts at `first`."""
    window = score[:, first : first + pattern.window]
    return torch.stack([row >= row.sort(descending=True).values[pattern.keep - 1] for row in window])


def eliminated(inverse: torch.Tensor, order: list[int]) -> dict[int, torch.Tensor]:
    """For each column the inverse in which every column before it is eliminated."""
    found = {}
    for c in order:
        found[c] = inverse
        inverse = inverse - inverse[:, c : c + 1] @ inverse[c : c + 1] / inverse[c, c]
    return found


def best_step(w: torch.Tensor, row_scale: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """The step of one row and group: every clipped range tried."""
    steps = [(r * w.abs().max() / (7 * row_scale)).round().clamp(1, 127) * row_scale for r in (1, 0.9, 0.8, 0.7, 0.6)]
    return min(steps, key=lambda s: float((((w - (w / s).round().clamp(-8, 7) * s) ** 2) / variance).sum()))


@pytest.mark.parametrize("text", ["1:1", "2:4", "1:4", "4:8", "8:16"])
def test_gptq_and_sparsegpt_are_the_textbook_elimination(text: str) -> None:
    pattern = Pattern.parse(text)
    weight, gram = torch.randn(12, 64, generator=torch.Generator().manual_seed(7)), stats_of(correlated(512, 64)).gram
    found = gptq(weight, gram, pattern, QuantScheme(4, 32), None, "w")
    codes, kept = textbook_gptq(weight, gram, 32, pattern)
    assert (found.keep_mask == kept).all()
    assert (found.codes == codes).all()


def test_activation_order_keeps_groups_and_windows_whole() -> None:
    diagonal = torch.tensor([1, 1, 5, 0, 2, 2, 0, 0, 9, 9, 0, 0, 0, 1, 20, 0]).float()
    assert activation_order(diagonal, 8, Pattern(2, 4)).tolist() == [
        12,
        13,
        14,
        15,
        8,
        9,
        10,
        11,
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
    ]
    assert activation_order(diagonal, 8, DENSE).tolist()[:4] == [14, 8, 9, 13]
    assert sorted(activation_order(diagonal, 4, Pattern(4, 8)).tolist()) == list(range(16))
