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
    """`x @ W.T` with one layer: x is float32[M, K].

    copies: how often the weights are stored. One run multiplies by every copy once, so that a run over enough copies
    finds none of them in the cache.
    """

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
    """A kernel with its weights repacked.

    run: multiplies by every copy.
    output: the product by the first copy, float32[M, N].
    weight_bytes: what one product reads of the weights.
    timed: for a kernel that measures itself, on a GPU or in another process: seconds of one run, the mean of so many;
    its threads are awake before the first and asleep after the last. None: the timer of this process measures it.
    """

    run: Callable[[], object]
    output: Callable[[], Float32]
    weight_bytes: int
    timed: Callable[[int], float] | None = None


def in_sequence(calls: list[Callable[[], object]]) -> Callable[[], None]:
    """One function that makes all calls, one after another."""

    def run() -> None:
        for call in calls:
            call()

    return run
