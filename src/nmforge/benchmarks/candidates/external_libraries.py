"""The kernels of libraries that live in an environment of their own."""

from __future__ import annotations

from functools import partial

from nmforge.benchmarks.candidates.external.client import library_process, missing_reason
from nmforge.benchmarks.candidates.external.registry import REGISTRY as LIBRARIES
from nmforge.benchmarks.candidates.registry import REGISTRY, Kernel
from nmforge.benchmarks.problem import Prepared, Problem
from nmforge.core.formats import DENSE, GemmShape, Pattern, QuantScheme


def prepare(problem: Problem, kernel: str) -> Prepared:
    """Prepare a kernel in the libraries' process of this run."""
    return library_process().prepare(kernel, problem)


def unsupported_reason(block: int, pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    """Why no library is there, or why one that stores blocks of `block` weights along K cannot hold the layer."""
    short = shape.k % block != 0
    return missing_reason() or (f"it stores blocks of {block} weights, and K is {shape.k}" if short else None)


for _library in LIBRARIES:
    for _offer in _library.kernels:
        REGISTRY.add(
            Kernel(
                _offer.name,
                _offer.summary,
                "library",
                DENSE,
                _offer.bits,
                partial(prepare, kernel=_offer.name),
                partial(unsupported_reason, _offer.block),
                external=True,
                by_default=False,
            )
        )
