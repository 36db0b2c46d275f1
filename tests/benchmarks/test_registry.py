"""The kernel table: every entry that this machine can run multiplies right; every other gives its reason."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nmforge.benchmarks.candidates import onnxruntime as onnx_peer
from nmforge.benchmarks.kernels import check
from nmforge.benchmarks.problem import Prepared, Problem
from nmforge.benchmarks.registry import KERNELS, Kernel
from nmforge.core import reference
from nmforge.core.compressed_linear import random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import GemmShape, Pattern, QuantScheme


def problem(kernel: Kernel, m: int = 3, copies: int = 1) -> Problem:
    rng = np.random.default_rng(0)
    linear = random_linear(rng, 48, 128, kernel.pattern, kernel.code_bits, 64)
    return Problem(linear, rng.standard_normal((m, 128), dtype=np.float32), 2, copies)


def reason(kernel: Kernel, group_size: int = 64) -> str | None:
    scheme = QuantScheme(kernel.code_bits, group_size)
    return kernel.supports(kernel.pattern, scheme, GemmShape(3, 48, 128))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("copies", [1, 3])
def test_products(name: str, copies: int) -> None:
    kernel = KERNELS[name]
    if reason(kernel):
        pytest.skip(str(reason(kernel)))
    for m in (1, 5):
        task = problem(kernel, m, copies)
        prepared = kernel.prepare(task)
        prepared.run()
        assert prepared.output().shape == (m, 48) and prepared.weight_bytes > 0
        check(kernel, task, prepared.output())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_reason_without_a_gpu() -> None:
    gpu = [kernel for kernel in KERNELS.values() if kernel.on_gpu]
    assert len(gpu) == 10
    assert {reason(kernel) for kernel in gpu} == {"torch finds no CUDA device on this machine"}


def test_reasons_of_the_peer() -> None:
    assert reason(KERNELS["onnxruntime-int4"], 0) is None  # one group of 128
    assert "no blocks of 96" in str(onnx_peer.why_unsupported(4, 96))
    assert "not 3" in str(onnx_peer.why_unsupported(3, 64))


def test_smaller_blocks_hold_the_same_weights() -> None:
    linear = random_linear(np.random.default_rng(3), 8, 128, Pattern(1, 1), 4, 64)
    small = onnx_peer.regrouped(linear, 32)
    assert small.group_mult.shape == (8, 4)
    np.testing.assert_array_equal(reference.dequantize(small), reference.dequantize(linear))


def test_peer_gets_the_same_weights() -> None:
    linear = random_linear(np.random.default_rng(3), 8, 128, Pattern(2, 4), 4, 64)
    codes, scales = onnx_peer.pack_blocks(linear)
    values = np.stack([codes & 15, codes >> 4], axis=3).reshape(8, 2, 64).astype(np.float64) - 8
    exact = reference.dequantize(linear).astype(np.float64)
    np.testing.assert_allclose((values * scales[:, :, None]).reshape(8, 128), exact, rtol=2**-22)


def test_the_limit_reads_what_the_product_reads() -> None:
    limit, ours = KERNELS["read-2:4-int4"], KERNELS["ours-2:4-int4"]
    one = GemmShape(1, 48, 128)
    assert limit.supports(limit.pattern, QuantScheme(4, 64), one) is None and "one token only" in str(reason(limit))
    task = problem(limit, m=1, copies=3)
    prepared = limit.prepare(task)
    prepared.run()
    assert prepared.weight_bytes == ours.prepare(task).weight_bytes


def test_families_and_stages() -> None:
    stages = {(k.family, k.stage) for k in KERNELS.values()}
    assert stages == {
        ("ours", "matmul"),
        ("peer", "matmul"),
        ("paper", "matmul"),
        ("paper", "end_to_end"),
        ("limit", "read"),
    }
    assert all(kernel.exact == (kernel.family == "ours") for kernel in KERNELS.values())


def test_a_wrong_exact_product_is_an_error() -> None:
    kernel = KERNELS["ours-2:4-int4"]
    task = problem(kernel)
    y = kernel.prepare(task).output().copy()
    y[2, 5] = np.nextafter(y[2, 5], np.float32(np.inf))
    with pytest.raises(NmforgeError, match="ours-2:4-int4: 1 of 96 outputs differ from the reference"):
        check(kernel, task, y)


def test_a_wrong_peer_product_is_an_error() -> None:
    kernel = KERNELS["torch-fp32"]
    task = problem(kernel)
    y = kernel.prepare(task).output()
    with pytest.raises(NmforgeError, match="torch-fp32: relative error 1 against float64"):
        check(kernel, task, np.zeros_like(y))


def test_runs_touch_every_copy() -> None:
    calls: list[int] = []
    from nmforge.benchmarks.problem import repeated

    Prepared(repeated([lambda: calls.append(1), lambda: calls.append(2)]), lambda: np.zeros((1, 1)), 1).run()
    assert calls == [1, 2]
