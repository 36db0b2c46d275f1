"""Our C++ kernels as entries of the kernel table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from nmforge.benchmarks.problem import Prepared, Problem, repeated
from nmforge.kernels.cpu import CpuLinear, read_bytes


def w4a8(problem: Problem) -> Prepared:
    """Mode W4A8 from float32 activations to float32 outputs, quantization of the activations included."""
    layers = [CpuLinear(problem.linear)]
    layers += [layers[0].copy() for _ in range(problem.copies - 1)]
    calls: list[Callable[[], object]] = [_call(layer, problem) for layer in layers]
    return Prepared(repeated(calls), lambda: layers[0].forward(problem.x, problem.threads), layers[0].weight_bytes)


def read_only(problem: Problem) -> Prepared:
    """Read as many bytes as `w4a8` does and multiply nothing: what memory or cache allow a product of one token."""
    size = CpuLinear(problem.linear).weight_bytes
    copies = [np.ones(size, dtype=np.uint8) for _ in range(problem.copies)]
    calls: list[Callable[[], object]] = [partial(read_bytes, data, problem.threads) for data in copies]
    return Prepared(repeated(calls), lambda: np.zeros((0, 0), dtype=np.float32), size)


def _call(layer: CpuLinear, problem: Problem) -> Callable[[], object]:
    return lambda: layer.forward(problem.x, problem.threads)
