"""The C++ kernels against the reference, and the choice of instruction set."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from factories.cpu_cases import check_isa

from nmforge.core import reference
from nmforge.core.compressed_linear import CompressedLinear, random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import DENSE, Pattern
from nmforge.kernels.cpu import CpuLinear, available_isas, choose_isa, unsupported_reason


def layer(n: int = 20, k: int = 128, pattern: str = "2:4", bits: int = 4) -> CompressedLinear:
    return random_linear(np.random.default_rng(1), n, k, Pattern.parse(pattern), bits, 64)


@pytest.mark.parametrize("isa", ["portable", "avx2", "avxvnni", "avx512vnni", "avx512vbmi"])
def test_every_path_equals_the_reference(isa: str) -> None:
    if isa not in available_isas():
        pytest.skip(f"this machine has no {isa}")
    assert check_isa(isa) > 1000


def test_ties_round_to_even() -> None:
    """With max |x| = 127 the step is 1, so halves are exact ties."""
    identity = np.eye(16, dtype=np.int8)
    unit = CompressedLinear(
        DENSE, 4, 16, identity, np.ones((16, 16), dtype=bool), np.ones((16, 1), dtype=np.uint8),
        np.ones(16, dtype=np.float32),
    )  # fmt: skip
    halves = [127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, -126.5, 0, 3.5, 4.5, -3.5, -4.5, 0.49999997, -127]
    even = [127, 0, 2, 2, 0, -2, -2, 126, -126, 0, 4, 4, -4, -4, 0, -127]
    x = np.array([halves], dtype=np.float32)
    for isa in available_isas():
        assert CpuLinear(unit, isa).forward(x).tolist() == [even]


@pytest.mark.parametrize("scale", [1e-44, 1e-38, 1e-20, 1e30])
def test_activations_of_any_size(scale: float) -> None:
    """Down to subnormal steps, where x / a can pass 127 and is clipped."""
    linear = layer()
    x = (np.random.default_rng(2).standard_normal((6, 128)) * scale).astype(np.float32)
    for isa in available_isas():
        np.testing.assert_array_equal(CpuLinear(linear, isa).forward(x), reference.forward_w4a8(linear, x))


def test_many_tokens_on_more_threads_than_cores() -> None:
    linear = layer(n=200, k=576, pattern="4:8")
    x = np.random.default_rng(3).standard_normal((301, 576), dtype=np.float32)
    expected = reference.forward_w4a8(linear, x)
    for threads in (1, 2, 3, 7, 1):
        np.testing.assert_array_equal(CpuLinear(linear).forward(x, threads), expected)


def test_calls_in_quick_succession_from_several_threads() -> None:
    """Workers wake late, or not at all, and callers take turns: no call may lose or repeat a chunk."""
    linear = layer(n=300, k=128)
    kernel = CpuLinear(linear)
    xs = [np.random.default_rng(seed).standard_normal((2, 128), dtype=np.float32) for seed in range(4)]
    expected = [reference.forward_w4a8(linear, x) for x in xs]

    def repeat(i: int) -> bool:
        return all((kernel.forward(xs[i], 2 + i % 3) == expected[i]).all() for _ in range(500))

    with ThreadPoolExecutor(4) as callers:
        assert all(callers.map(repeat, range(4)))


def test_no_tokens() -> None:
    assert CpuLinear(layer()).forward(np.zeros((0, 128), dtype=np.float32)).shape == (0, 20)


def test_a_view_that_is_not_contiguous() -> None:
    linear = layer()
    x = np.random.default_rng(4).standard_normal((128, 3), dtype=np.float32).T
    np.testing.assert_array_equal(CpuLinear(linear).forward(x), reference.forward_w4a8(linear, np.array(x)))


def test_a_copy_is_elsewhere_and_equal() -> None:
    kernel = CpuLinear(layer())
    other = kernel.copy()
    x = np.random.default_rng(5).standard_normal((4, 128), dtype=np.float32)
    assert other._tiled.planes.ctypes.data != kernel._tiled.planes.ctypes.data
    np.testing.assert_array_equal(other.forward(x), kernel.forward(x))


def test_forced_isa(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMFORGE_ISA", "portable")
    assert CpuLinear(layer()).isa == "portable"
    assert choose_isa(available_isas()[-1]) == available_isas()[-1]
    monkeypatch.delenv("NMFORGE_ISA")
    assert choose_isa() == available_isas()[-1]


def test_unknown_isa(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMFORGE_ISA", "sse9")
    names = ", ".join(available_isas())
    with pytest.raises(
        NmforgeError, match=f"^NMFORGE_ISA = 'sse9' is not available on this machine; use one of {names}$"
    ):
        CpuLinear(layer())


def test_wide_codes_are_declined() -> None:
    assert unsupported_reason(4) is None
    with pytest.raises(NmforgeError, match=r"codes of 8 bits .* quantize it to 4 bits or fewer"):
        CpuLinear(layer(bits=8))


def test_rows_that_could_overflow_are_declined() -> None:
    with pytest.raises(NmforgeError, match="16644 kept weights per row could overflow INT32"):
        CpuLinear(random_linear(np.random.default_rng(0), 1, 16644, DENSE, 4, 0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_activations_that_are_not_finite(bad: float) -> None:
    x = np.zeros((3, 128), dtype=np.float32)
    x[1, 77] = bad
    with pytest.raises(NmforgeError, match="activations hold NaN or infinity"):
        CpuLinear(layer()).forward(x, threads=2)


def test_wrong_columns() -> None:
    with pytest.raises(NmforgeError, match=r"shape \(2, 64\) do not fit a layer of K = 128"):
        CpuLinear(layer()).forward(np.zeros((2, 64), dtype=np.float32))
