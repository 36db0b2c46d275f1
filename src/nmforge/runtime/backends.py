"""Backends: where the INT32 sums of a compressed layer come from. Quantization before the sums and scaling after them
are the same code whichever backend is chosen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from nmforge.core import reference
from nmforge.core.compressed_linear import CompressedLinear, Int8
from nmforge.core.errors import NmforgeError
from nmforge.core.reference import Int32
from nmforge.kernels.cpu.linear import CpuLinear

ARRAY = (8, 4)  # rows, cols of a simulated engine: small enough to build in a minute, large enough for few cycles
Sums = Callable[[Int8], Int32]  # int8[M, K] -> int32[M, N] of one layer
Backend = Callable[[str, CompressedLinear], Sums]  # name and weights of a layer -> its sums


def cpu_backend(threads: int) -> Backend:
    """The C++ kernels of this machine on `threads` threads."""

    def bind(_name: str, linear: CompressedLinear) -> Sums:
        return partial(CpuLinear(linear).accumulate, threads=threads)

    return bind


def reference_backend(_name: str, linear: CompressedLinear) -> Sums:
    """The NumPy oracle: slow."""
    return partial(reference.accumulate, linear)


def check_threads(threads: int) -> None:
    """Raise NmforgeError unless there is a thread to work."""
    if threads < 1:
        raise NmforgeError(f"threads = {threads} is out of range; use 1 or more")
