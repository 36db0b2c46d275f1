"""Products of bf16 numbers against float64: torch's and our kernel's, at sizes that fill no tile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from nmforge.kernels._native import bf16 as kernel
from nmforge.linalg import bf16
from nmforge.linalg.bf16 import ROWS, add_gram, add_products, multiply, round_bf16
from nmforge.linalg.bf16_linear import Bf16Linear

AVX512 = pytest.mark.skipif(not bf16.uses_own_kernel(), reason="no bf16 products of AVX-512")
NATIVE = pytest.mark.parametrize("native", [pytest.param(True, marks=AVX512)])
SIZES = [(ROWS, 48, 32), (ROWS + 3, 1, 1), (ROWS + 9, 50, 37), (300, 97, 66)]
EITHER = pytest.mark.parametrize("native", [False, pytest.param(True, marks=AVX512)])


@pytest.fixture(autouse=True)
def by(native: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Products by our kernel, or by torch; the other one may not be called."""
    monkeypatch.setattr(bf16, "uses_own_kernel", lambda: native)
    monkeypatch.setattr(bf16, "bf16" if not native else "_torch_may_round", None)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def numbers(*shape: int) -> Tensor:
    return round_bf16(torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))))


def check(found: Tensor, exact: Tensor, sizes: Tensor, terms: int) -> None:
    """Every sum within the error of `terms` float32 additions, whose terms' magnitudes sum to `sizes`."""
    assert found.dtype == torch.float32
    assert ((found.double() - exact).abs() <= (terms + 1) * 2**-24 * sizes).all()


@EITHER
@pytest.mark.parametrize(("m", "n", "k"), SIZES)
@pytest.mark.parametrize("threads", [1, 3])
def test_products_of_rows(m: int, n: int, k: int, threads: int) -> None:
    torch.set_num_threads(threads)
    x, w = torch.randn(m, k), numbers(n, k)  # x is rounded on the way
    rounded = round_bf16(x).double()
    check(multiply(x, w), rounded @ w.double().T, rounded.abs() @ w.double().abs().T, k)


@EITHER
@pytest.mark.parametrize(("t", "n", "k"), SIZES)
def test_sums_of_outer_products(t: int, n: int, k: int) -> None:
    given = torch.randn(t, n), torch.randn(t, k)
    y, x = map(round_bf16, given)
    start = torch.randn(n, k)
    sizes = y.double().abs().T @ x.double().abs() + start.double().abs()
    check(add_products(start.clone(), *given), start.double() + y.double().T @ x.double(), sizes, t + 1)


@EITHER
@pytest.mark.parametrize(("t", "k"), [(ROWS, 96), (65, 50), (7, 130), (1, 1)])
def test_gram_matrices_on_and_above_the_diagonal(t: int, k: int) -> None:
    given, start = torch.randn(t, k), torch.randn(k, k)
    x = round_bf16(given)
    exact = start.double() + x.double().T @ x.double()
    sizes = x.double().abs().T @ x.double().abs() + start.double().abs()
    check(add_gram(start.clone(), given).triu(), exact.triu(), sizes, t + 1)


@NATIVE
def test_threads_do_not_change_a_bit() -> None:
    x, w = torch.randn(ROWS + 5, 70), numbers(130, 70)
    found = []
    for threads in (1, 5, 2, 4, 3):  # a worker of one call may come late into the next
        torch.set_num_threads(threads)
        found += [multiply(x, w) for _ in range(20)]
    assert all(torch.equal(found[0], other) for other in found)


@pytest.mark.parametrize("native", [False])
def test_few_rows_are_left_to_torch() -> None:
    x, w = numbers(3, 24), numbers(20, 24)
    check(multiply(x, w), x.double() @ w.double().T, x.double().abs() @ w.double().abs().T, 24)


@EITHER
def test_shapes_types_and_views_of_a_layer() -> None:
    layer, x = Bf16Linear.from_weight(torch.randn(10, 24)), torch.randn(2, ROWS, 48).bfloat16()[:, :, ::2]
    found = layer(x)
    assert found.dtype == torch.bfloat16
    assert found.shape == (2, ROWS, 10)
    assert torch.allclose(found.double(), x.double() @ layer.weight.double().T, rtol=2**-8, atol=1e-4)


@pytest.mark.parametrize("native", [False])
def test_gradients_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bf16, "uses_own_kernel", lambda: True)  # torch multiplies even where our kernel could
    weight = numbers(4, 8)
    x = torch.randn(ROWS, 8, requires_grad=True)
    multiply(x, weight).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert torch.allclose(x.grad, weight.sum(dim=0).expand_as(x), atol=1e-2)


@NATIVE
@pytest.mark.parametrize(
    ("sizes", "threads", "sentence"),
    [
        (((2, 3), (2, 4), (2, 2)), 1, "factors and result do not fit each other"),
        (((2, 3), (4, 3), (2, 3)), 1, "factors and result do not fit each other"),
        (((2, 3), (4, 3), (2, 4)), 0, "threads must be at least 1"),
    ],
)
def test_rows_that_do_not_fit(sizes: tuple[tuple[int, int], ...], threads: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        kernel.multiply_rows(*(torch.zeros(size).numpy() for size in sizes), threads)


@NATIVE
def test_columns_that_do_not_fit() -> None:
    y, x, total = (torch.zeros(size).numpy() for size in ((2, 3), (2, 4), (3, 4)))
    for wrong, upper in ((total[:2], False), (total.T, False), (total, True)):
        with pytest.raises((ValueError, TypeError)):
            kernel.add_outer_products(y, x, upper, wrong, 1)
    kernel.add_outer_products(y, x, False, total, 1)


@NATIVE
def test_a_result_that_would_be_lost_is_refused() -> None:
    y, total = torch.ones(4, 3).numpy(), torch.zeros(3, 3)
    for lost in (torch.zeros(3, 6)[:, ::2], total.double()):  # the extension would fill a copy
        with pytest.raises(TypeError):
            kernel.add_outer_products(y, y, False, lost.numpy(), 1)
