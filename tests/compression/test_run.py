"""Pruners and quantizers on layers small enough to check by hand or by brute force."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from nmforge.compression.calibration.activation_cache import Windows
from nmforge.compression.calibration.statistics import InputStats, Streams, gather
from nmforge.compression.pruning.alps import alps, refit
from nmforge.compression.pruning.magnitude import magnitude
from nmforge.compression.pruning.masks import _places_by_comparison, _places_by_sorting, keep_largest
from nmforge.compression.pruning.registry import Solver
from nmforge.compression.pruning.ria import ria
from nmforge.compression.pruning.swaps import alps_swaps
from nmforge.compression.pruning.wanda import wanda
from nmforge.compression.quantization.gptq import activation_order, gptq
from nmforge.compression.quantization.rtn import rtn
from nmforge.compression.run import check_design, compress_layers
from nmforge.compression.transforms.channel_permutation import channel_order
from nmforge.compression.transforms.error_correction import DAMPINGS, toward_dense
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.design import DesignPoint
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import DENSE, Pattern, QuantScheme
from nmforge.core.reference import dequantize
from nmforge.linalg.hessian import damped_inverse, inverse_factor, permuted


def held(window: torch.Tensor) -> Windows:
    """One window [T, width] in memory."""
    windows = Windows((1, *window.shape), torch.device("cpu"))
    windows[0] = window[None]
    return windows


def stats_of(x: torch.Tensor) -> InputStats:
    stats = gather(Streams(held(x)))
    assert stats is not None
    return stats


def compress_one(weight: torch.Tensor, stats: InputStats | None, design: DesignPoint, name: str) -> CompressedLinear:
    return compress_layers({name: weight}, stats, design)[name]


def correlated(tokens: int, k: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(k, k, generator=generator)
    return torch.randn(tokens, k, generator=generator) @ mix


def point(pattern: Pattern, pruner: str, quantizer: str, group: int = 8) -> DesignPoint:
    return DesignPoint("p", pattern, pruner, quantizer, 4, group)


def test_magnitude_keeps_the_largest_and_the_earlier_of_a_tie() -> None:
    weight = torch.tensor([[1.0, -3.0, 2.0, 0.5, 0.0, 0.0, 0.0, 0.0]])
    mask = magnitude(weight, None, Pattern(2, 4))
    assert mask.tolist() == [[False, True, True, False, True, True, False, False]]


def test_wanda_weighs_by_input_norm() -> None:
    x = torch.diag(torch.tensor([10.0, 1.0, 1.0, 1.0]))
    mask = wanda(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), stats_of(x), Pattern(2, 4))
    assert mask.tolist() == [[True, False, False, True]]


def test_ria_is_its_formula_and_saves_a_weak_column() -> None:
    generator = torch.Generator().manual_seed(11)
    weight, x = torch.randn(5, 8, generator=generator), torch.randn(20, 8, generator=generator)
    score = np.zeros((5, 8))
    for n, k in itertools.product(range(5), range(8)):
        size = abs(float(weight[n, k]))
        relative = size / float(weight[n].abs().sum()) + size / float(weight[:, k].abs().sum())
        score[n, k] = relative * float(x[:, k].norm()) ** 0.5
    assert (ria(weight, stats_of(x), Pattern(2, 4)) == keep_largest(torch.tensor(score), Pattern(2, 4))).all()
    weak = torch.tensor([[1.0, 1.0, 1.0, 0.4], [1.0, 1.0, 1.0, 0.0]])  # the last input's only weight
    assert ria(weak, stats_of(torch.eye(4)), Pattern(2, 4))[0, 3]
    assert not wanda(weak, stats_of(torch.eye(4)), Pattern(2, 4))[0, 3]


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
        assert (_places_by_comparison(windows) == _places_by_sorting(windows)).all()


def test_rtn_is_within_half_a_step() -> None:
    weight = torch.randn(4, 32, generator=torch.Generator().manual_seed(2))
    found = rtn(weight, torch.ones_like(weight, dtype=torch.bool), QuantScheme(4, 8))
    step = (found.group_mult.float() * found.row_scale[:, None]).repeat_interleave(8, 1)
    # rounding the multiplier clips the largest code by at most half a multiplier unit, seven times
    slack = 3.5 * found.row_scale[:, None]
    assert ((weight - found.codes * step).abs() <= step / 2 + slack).all()
    assert found.codes.min() >= -8
    assert found.codes.max() <= 7


def test_gptq_with_uncorrelated_inputs_is_rounding_to_the_same_grid() -> None:
    weight = torch.randn(5, 16, generator=torch.Generator().manual_seed(3))
    found = gptq(weight, torch.eye(16), DENSE, QuantScheme(4, 16), torch.ones_like(weight, dtype=torch.bool), "w")
    step = found.group_mult.float() * found.row_scale[:, None]
    assert (found.codes == (weight / step).round().clamp(-8, 7)).all()


@pytest.mark.parametrize("adds_to_the_stream", [False, True])
def test_a_layer_held_to_the_dense_model_is_the_ridge_regression_on_its_outputs(adds_to_the_stream: bool) -> None:
    generator = torch.Generator().manual_seed(21)
    x, dense = (torch.randint(-9, 10, (60, 8), generator=generator).float() for _ in range(2))
    weight = torch.randn(5, 8, generator=generator)
    lacking = torch.randint(-9, 10, (60, 5), generator=generator).float()
    outputs = x @ weight.T + lacking if adds_to_the_stream else dense @ weight.T
    stats = gather(Streams(held(x), held(dense)), lacking=(lambda _window: lacking) if adds_to_the_stream else None)
    assert stats is not None
    found = toward_dense(weight, stats, "w")
    ridge = float(DAMPINGS[0] * stats.gram.diagonal().mean()) ** 0.5
    rows = np.vstack([x.numpy(), ridge * np.eye(8)])
    wanted = np.vstack([outputs.numpy(), ridge * weight.T.numpy()])
    best = np.linalg.lstsq(rows.astype(np.float64), wanted.astype(np.float64), rcond=None)[0].T
    assert np.allclose(found.numpy(), best, rtol=1e-4, atol=1e-4)
    assert torch.equal(toward_dense(weight, stats_of(x), "w"), weight)


def output_error(weight: torch.Tensor, linear: CompressedLinear, x: torch.Tensor) -> float:
    return float(((torch.from_numpy(dequantize(linear)) - weight) @ x.T).norm())


def test_compensation_beats_rounding_and_pruning_alone() -> None:
    x, weight = correlated(512, 32), torch.randn(16, 32, generator=torch.Generator().manual_seed(4))
    stats = stats_of(x)
    error = {
        name: output_error(weight, compress_one(weight, stats, point(pattern, pruner, quantizer), "w"), x)
        for name, pattern, pruner, quantizer in [
            ("rtn", DENSE, "none", "rtn"),
            ("gptq", DENSE, "none", "gptq"),
            ("magnitude", Pattern(2, 4), "magnitude", "rtn"),
            ("wanda", Pattern(2, 4), "wanda", "rtn"),
            ("sparsegpt", Pattern(2, 4), "sparsegpt", "gptq"),
            ("alps", Pattern(2, 4), "alps", "gptq"),
        ]
    }
    assert error["gptq"] < 0.8 * error["rtn"]
    assert error["sparsegpt"] < 0.9 * error["wanda"]
    assert error["sparsegpt"] < 0.9 * error["magnitude"]
    assert error["alps"] < 0.9 * error["sparsegpt"]


def test_inverse_factor_inverts_the_damped_gram_matrix() -> None:
    gram = stats_of(correlated(100, 6)).gram
    factor = inverse_factor(gram, "w").double()
    damped = gram.double() + 0.01 * gram.diagonal().double().mean() * torch.eye(6, dtype=torch.float64)
    assert torch.allclose(factor.T @ factor @ damped, torch.eye(6, dtype=torch.float64), atol=1e-3)


def test_a_matrix_of_many_slabs_is_the_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    gram, order = stats_of(correlated(200, 50)).gram, torch.randperm(50, generator=torch.Generator().manual_seed(1))
    before, whole = gram.clone(), inverse_factor(gram, "w")
    monkeypatch.setattr("nmforge.linalg.hessian.SLAB", 16)
    assert torch.equal(permuted(gram, order), gram[order][:, order])
    assert torch.allclose(inverse_factor(gram, "w"), whole, rtol=1e-4, atol=1e-6)
    assert torch.equal(gram, before)


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


def test_paper_point_has_one_scale() -> None:
    weight = torch.randn(6, 16, generator=torch.Generator().manual_seed(6))
    made = compress_one(weight, None, point(Pattern(2, 4), "magnitude", "tensor-absmax", 0), "w")
    assert len(set(made.row_scale.tolist())) == 1
    assert (made.group_mult == 1).all()
    assert np.abs(made.codes).max() == 7


def test_sentences() -> None:
    weight = torch.zeros(2, 10)
    with pytest.raises(NmforgeError, match=r"pattern 2:4 does not divide K = 10 of layer x; choose .* 2, 5, 10"):
        compress_one(weight, None, point(Pattern(2, 4), "magnitude", "rtn"), "layer x")
    with pytest.raises(NmforgeError, match="layer x: its weights are not finite"):
        compress_one(torch.full((1, 8), torch.nan), None, point(DENSE, "none", "rtn"), "layer x")
    with pytest.raises(NmforgeError, match="design p: pruner 'best' is unknown"):
        check_design(point(Pattern(2, 4), "best", "rtn"))
    with pytest.raises(NmforgeError, match="pattern 2:4 and pruner none disagree"):
        check_design(point(Pattern(2, 4), "none", "rtn"))
    with pytest.raises(NmforgeError, match="pattern 3:6 does not divide group_size 8"):
        check_design(point(Pattern(3, 6), "sparsegpt", "gptq"))
    with pytest.raises(NmforgeError, match="target dense needs calibration text, which pruner magnitude and quantizer"):
        check_design(replace(point(Pattern(2, 4), "magnitude", "rtn"), target="dense"))
    for pruner, quantizer in (("magnitude", "rtn"), ("ria", "gptq"), ("wanda", "tensor-absmax")):
        with pytest.raises(
            NmforgeError, match=f"design p: awq changes the magnitudes that pruner {pruner} and quantizer"
        ):
            check_design(replace(point(Pattern(2, 4), pruner, quantizer), awq=True))
    with pytest.raises(NmforgeError, match="design p: permute needs a sparse pattern and calibration text"):
        check_design(replace(point(DENSE, "none", "gptq"), permute=True))


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


def damped(gram: torch.Tensor) -> np.ndarray:
    """float64[K, K] with a hundredth of the mean of the diagonal added to it."""
    return np.asarray(gram.double() + 0.01 * gram.diagonal().double().mean() * torch.eye(len(gram)))


def best_on(kept: np.ndarray, w: np.ndarray, h: np.ndarray) -> float:
    """Error of the row that is closest to w with these kept: one linear system."""
    found = np.zeros(len(w))
    found[kept] = np.linalg.solve(h[np.ix_(kept, kept)], (h @ w)[kept])
    return float((found - w) @ h @ (found - w))


def masks_of(k: int, pattern: Pattern) -> list[np.ndarray]:
    """Every choice of kept columns that has the pattern, as column numbers."""
    windows = [itertools.combinations(range(f, f + pattern.window), pattern.keep) for f in range(0, k, pattern.window)]
    return [np.array(list(itertools.chain(*choice))) for choice in itertools.product(*windows)]


@pytest.mark.parametrize("text", ["2:4", "1:4", "3:4"])
def test_alps_comes_close_to_the_best_of_all_masks(text: str) -> None:
    pattern, k, rows = Pattern.parse(text), 12, 40
    weight = torch.randn(rows, k, generator=torch.Generator().manual_seed(31))
    gram = stats_of(correlated(400, k, seed=32)).gram
    found, h, excess = alps(weight, gram, pattern, "w"), damped(gram), []
    greedy = gptq(weight, gram, pattern, QuantScheme(8, k), None, "w").keep_mask
    for row in range(rows):
        w = weight[row].double().numpy()
        best = min(best_on(kept, w, h) for kept in masks_of(k, pattern))
        chosen, other = (best_on(np.flatnonzero(mask[row]), w, h) for mask in (found.keep_mask, greedy))
        apart = found.weight[row].double().numpy() - w
        assert chosen * (1 - 1e-6) <= apart @ h @ apart <= 1.02 * chosen
        excess.append([chosen / best - 1, other / best - 1])
    alps_excess, sparsegpt_excess = np.mean(excess, axis=0)
    assert alps_excess < 0.07
    assert alps_excess < 0.3 * sparsegpt_excess


@pytest.mark.parametrize("solve", [alps, alps_swaps])
def test_no_place_is_given_to_an_input_that_was_never_active(solve: Solver) -> None:
    weight, x = torch.randn(6, 16, generator=torch.Generator().manual_seed(33)), correlated(64, 16)
    weight[:, 5], x[:, 5] = 100, 0
    found = solve(weight, stats_of(x).gram, Pattern(2, 4), "w")
    assert not found.keep_mask[:, 5].any()
    assert not found.weight[~found.keep_mask].any()


def test_weights_stay_finite_where_a_matrix_has_lost_its_curvature() -> None:
    rounded = torch.tensor([[1.0, 1.01], [1.01, 1.0]])  # a positive definite one, its entries rounded
    kept, start = torch.ones(2, 3, dtype=torch.bool), torch.tensor([[1.0, 2.0, 0.0], [-1.0, 2.0, 0.0]])
    found = refit(torch.zeros(2, 3), rounded, kept, start)
    assert torch.equal(found[:, [0, 2]], start[:, [0, 2]])
    assert found[:, 1].abs().max() < 1e-2


def retained(score: np.ndarray, order: Sequence[int], pattern: Pattern) -> float:
    """What the largest weights of every window hold once the columns are in this order."""
    windows = np.sort(score[:, order].reshape(len(score), -1, pattern.window))
    return float(windows[:, :, pattern.window - pattern.keep :].sum())


@pytest.mark.parametrize("text", ["2:4", "1:4", "3:4"])
def test_the_order_of_a_few_channels_is_close_to_the_best_of_all(text: str) -> None:
    pattern, score = Pattern.parse(text), torch.rand(6, 8, generator=torch.Generator().manual_seed(41))
    score[:, :4] *= 5  # the first window cannot keep what it should
    halves = (half for half in itertools.combinations(range(8), 4) if 0 in half)
    orders = ([*half, *(c for c in range(8) if c not in half)] for half in halves)
    best = max(retained(score.numpy(), order, pattern) for order in orders)
    as_it_was, found = retained(score.numpy(), range(8), pattern), channel_order(score, pattern, 8)
    assert retained(score.numpy(), found.inputs.tolist(), pattern) >= as_it_was + 0.95 * (best - as_it_was)
    assert best > as_it_was
    assert torch.equal(found.inputs, found.writers)


def test_an_order_is_found_on_the_cpu_wherever_new_tensors_go() -> None:
    score = torch.rand(6, 16, generator=torch.Generator().manual_seed(1))
    here = channel_order(score, Pattern(2, 4), 8)
    with torch.device("meta"):
        found = channel_order(score, Pattern(2, 4), 8)
    assert torch.equal(found.inputs, here.inputs)
    assert torch.equal(found.writers, here.writers)


def test_channels_stay_in_their_heads_and_heads_of_one_writer_move_alike() -> None:
    score = (
        torch.rand(5, 48, generator=torch.Generator().manual_seed(42)) ** 4
    )  # two key-value heads of 8, three readers
    found = channel_order(score, Pattern(2, 4), 8, shared=3)
    assert sorted(found.writers.tolist()) == list(range(16))
    assert [c // 8 for c in found.writers.tolist()] == [0] * 8 + [1] * 8
    heads = found.inputs.view(6, 8)
    for head in range(6):
        assert torch.equal(heads[head] - 8 * head, found.writers.view(2, 8)[head // 3] % 8)
    assert retained(score.numpy(), found.inputs.tolist(), Pattern(2, 4)) > retained(
        score.numpy(), list(range(48)), Pattern(2, 4)
    )


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


def test_layers_that_share_inputs_are_solved_as_if_alone() -> None:
    generator, stats = torch.Generator().manual_seed(8), stats_of(correlated(64, 32))
    weights = {name: torch.randn(rows, 32, generator=generator) for name, rows in (("q", 5), ("k", 3), ("v", 4))}
    two = Pattern(2, 4)
    for pruner, pattern, last_bits in (
        ("sparsegpt", two, 0),
        ("alps", two, 1e-6),
        ("alps-swaps", two, 1e-6),
        ("wanda", two, 0),
        ("none", DENSE, 0),
    ):
        design = point(pattern, pruner, "gptq")
        together = compress_layers(weights, stats, design)
        for name, weight in weights.items():
            alone = compress_one(weight, stats, design, name)
            assert (together[name].codes == alone.codes).all()
            assert (together[name].keep_mask == alone.keep_mask).all()
            assert np.allclose(together[name].row_scale, alone.row_scale, rtol=last_bits, atol=0)
