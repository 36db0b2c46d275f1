"""The GPU kernel: layouts that come back, and the reference's numbers, on a GPU or in Triton's interpreter."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from nmforge.core import reference
from nmforge.core.compressed_linear import random_linear
from nmforge.core.formats import DENSE, Pattern
from nmforge.evaluation.coherence import gpu_sums
from nmforge.kernels.gpu import linear as ours
from nmforge.kernels.gpu.linear import GpuLinear, Plan
from nmforge.kernels.gpu.repack import FORMATS, pack, unpack

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") else "cuda"
each_format = pytest.mark.parametrize(("pattern", "bits"), FORMATS)


@each_format
@pytest.mark.parametrize("group_size", [32, 64, 256])
def test_layouts_come_back(pattern: Pattern, bits: int, group_size: int) -> None:
    linear = random_linear(np.random.default_rng(bits), 7, 256, pattern, bits, group_size)
    packed = pack(linear)
    codes, mask = unpack(packed, pattern, bits)
    np.testing.assert_array_equal(codes, linear.codes)
    np.testing.assert_array_equal(mask, linear.keep_mask)
    stored = 8 * (packed.codes.nbytes + packed.more.nbytes) / linear.codes.size
    assert stored == {(DENSE, 4): 4, (DENSE, 3): 3, (Pattern(2, 4), 4): 3, (Pattern(1, 4), 4): 1.5}[pattern, bits]


@pytest.fixture
def triton() -> None:
    """Triton; where there is no GPU it interprets, as conftest.py asks."""
    if DEVICE == "cuda" and not torch.cuda.is_available():
        pytest.skip("this machine has a GPU and torch's CPU build")
    pytest.importorskip("triton", reason="Triton is not installed; `make triton` installs it")


def activations(rng: np.random.Generator, m: int, k: int) -> np.ndarray:
    """Rows of very different size, a row of zeros, a row of ties between two integers, one of the smallest floats."""
    x = rng.standard_normal((m, k), dtype=np.float32) * np.float32(10) ** rng.integers(-30, 30, (m, 1))
    x[0] = rng.integers(-254, 255, k) / 2
    x[0, 0] = 127
    if m > 2:
        x[1] = 0
        x[2] = rng.integers(-3, 4, k) * np.float32(1e-45)
    return x.astype(np.float32)


@each_format
@pytest.mark.parametrize(("m", "k", "group_size"), [(1, 128, 128), (5, 192, 64), (17, 96, 32)])
@pytest.mark.gpu
@pytest.mark.usefixtures("triton")
def test_the_references_numbers(pattern: Pattern, bits: int, m: int, k: int, group_size: int) -> None:
    rng = np.random.default_rng(m)
    linear = random_linear(rng, 70, k, pattern, bits, group_size)
    x = activations(rng, m, k)
    layer = GpuLinear(linear, DEVICE)
    xq, step, acc = layer.quantize(torch.from_numpy(x).to(DEVICE))
    wanted_xq, wanted_step = reference.quantize_activations(x)
    np.testing.assert_array_equal(xq.cpu().numpy(), wanted_xq)
    np.testing.assert_array_equal(step.cpu().numpy(), wanted_step)
    np.testing.assert_array_equal(layer.accumulate(xq, acc).cpu().numpy(), reference.accumulate(linear, wanted_xq))
    y = layer.forward(torch.from_numpy(x).to(DEVICE))
    np.testing.assert_array_equal(y.cpu().numpy(), reference.forward_w4a8(linear, x))


@pytest.mark.parametrize("shares", [1, 2, 3, 8])
@pytest.mark.gpu
@pytest.mark.usefixtures("triton")
def test_groups_shared_out_add_up(monkeypatch: pytest.MonkeyPatch, shares: int) -> None:
    rng = np.random.default_rng(3)
    linear = random_linear(rng, 40, 256, Pattern(2, 4), 4, 32)
    x = activations(rng, 20, 256)
    monkeypatch.setattr(Plan, "for_shape", lambda *sizes: Plan(16, 16, shares, 4))
    y = GpuLinear(linear, DEVICE).forward(torch.from_numpy(x).to(DEVICE))
    np.testing.assert_array_equal(y.cpu().numpy(), reference.forward_w4a8(linear, x))


@pytest.mark.gpu
@pytest.mark.usefixtures("triton")
def test_coherence_takes_the_gpus_sums() -> None:
    rng = np.random.default_rng(6)
    linear = random_linear(rng, 24, 128, Pattern(2, 4), 4, 64)
    xq = rng.integers(-127, 128, (3, 128), dtype=np.int8)
    np.testing.assert_array_equal(gpu_sums(linear, xq, DEVICE), reference.accumulate(linear, xq))


def test_plans_cover_the_product_and_fill_the_processors() -> None:
    for m, n, groups in [(1, 4096, 32), (16, 64, 3), (128, 11008, 32), (4096, 4096, 32), (4097, 100, 1)]:
        plan = Plan.for_shape(m, n, groups, 132)
        assert 1 <= plan.shares <= groups
        assert plan.tokens >= min(m, ours.TOKENS[-1])
    assert Plan.for_shape(1, 4096, 32, 132).shares > 1
    assert Plan.for_shape(4096, 4096, 32, 132).shares == 1


def test_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert ours.unsupported_reason(DENSE, 4, 64) == "the kernels are written in Triton, which is not installed"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert ours.unsupported_reason(Pattern(2, 4), 4, 64) is None
    assert "holds dense INT4, dense INT3, 2:4 INT4, 1:4 INT4, not 4:8 INT4" in str(
        ours.unsupported_reason(Pattern(4, 8), 4, 64)
    )
    assert "a power of two from 32 on, not 96" in str(ours.unsupported_reason(DENSE, 4, 96))
    assert "a power of two from 32 on, not 16" in str(ours.unsupported_reason(DENSE, 4, 16))
