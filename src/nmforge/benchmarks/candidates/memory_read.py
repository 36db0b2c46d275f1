"""What memory or cache allow a product of one token: a read of as many bytes as our 2:4 kernel reads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from nmforge.benchmarks.candidates.registry import REGISTRY, Kernel
from nmforge.benchmarks.problem import Prepared, Problem, in_sequence
from nmforge.core.formats import GemmShape, Pattern, QuantScheme
from nmforge.kernels.cpu import CpuLinear, read_bytes


def read_only(problem: Problem) -> Prepared:
    """Read as many bytes as `ours-2:4-int4` does and multiply nothing."""
    size = CpuLinear(problem.linear).weight_bytes
    copies = [np.ones(size, dtype=np.uint8) for _ in range(problem.copies)]
    calls: list[Callable[[], object]] = [partial(read_bytes, data, problem.threads) for data in copies]
    return Prepared(in_sequence(calls), lambda: np.zeros((0, 0), dtype=np.float32), size)


def unsupported_reason(pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    """Products of several tokens are bounded by multipliers."""
    return None if shape.m == 1 else "memory bounds a product of one token only"


REGISTRY.add(
    Kernel(
        "read-2:4-int4",
        "a read of the bytes of a 2:4 INT4 layer",
        "roofline",
        Pattern(2, 4),
        4,
        read_only,
        unsupported_reason,
        stage="read",
    )
)
