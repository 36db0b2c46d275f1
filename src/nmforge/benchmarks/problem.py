"""What every kernel is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.formats import GemmShape

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Problem:
    """`x @ W.T` with one layer: x is float32[M, K]. The weights are laid down `copies` times, and one run multiplies
    by each copy once, so that a run over enough copies finds none of them in the cache."""

    linear: CompressedLinear
    x: Float32
    threads: int
    copies: int = 1

    @property
    def shape(self) -> GemmShape:
        """Sizes of the product."""
        return GemmShape(self.x.shape[0], self.linear.n, self.linear.k)


@dataclass(frozen=True)
class Prepared:
    """`run()` multiplies by every copy; `output()` is the product by the first as float32[M, N]; `weight_bytes` is
    what one product reads of the weights. A kernel that lives in another process has `timed(runs)` as well: seconds of
    one run, measured there over so many, threads woken before and asleep after."""

    run: Callable[[], object]
    output: Callable[[], Float32]
    weight_bytes: int
    timed: Callable[[int], float] | None = None


def repeated(calls: list[Callable[[], object]]) -> Callable[[], None]:
    """One function that makes all calls in turn."""

    def run() -> None:
        for call in calls:
            call()

    return run
