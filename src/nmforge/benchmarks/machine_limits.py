"""What bounds every kernel of this machine: the rate at which it reads memory, and its peak of byte multiplications."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from nmforge.benchmarks.caches import last_level_cache
from nmforge.benchmarks.timer import summarize
from nmforge.io import provenance, records
from nmforge.kernels._native import w4a8
from nmforge.kernels.cpu import choose_isa

RESIDENT_BYTES = 6 * 2**20  # about a layer of 4096 x 4096 at 3 bits
ROUNDS = 1_000_000
REPEATS = 15
Row = dict[str, object]


@cache
def _memory(size: int) -> NDArray[np.uint8]:
    """Bytes that were written once, so that each page exists."""
    return np.ones(size, dtype=np.uint8)


def streamed_bytes() -> int:
    """Enough bytes that the last-level cache holds a small part of them."""
    return max(2**28, 8 * last_level_cache())


def read_bandwidth(threads: int, size: int | None = None, repeats: int = 3) -> float:
    """Bytes a second that `threads` threads read of `size` bytes (default: `streamed_bytes`), the median of repeats."""
    size = size or streamed_bytes()
    return size / median(_seconds(lambda: w4a8.read_bytes(choose_isa(), _memory(size), threads), repeats))


def write_limits(threads: Iterable[int], out: Path) -> None:
    """Measure the limits for each number of threads and write table `limits`."""
    run_id = uuid.uuid4().hex[:12]
    records.write_point(out, "limits", [row for count in threads for row in limit_rows(count, run_id)])


def limit_rows(threads: int, run_id: str) -> list[Row]:
    """Rows of table `limits`: read bandwidth of memory and cache in bytes/s, INT8 peak in multiply-adds/s."""
    isa, streamed = choose_isa(), streamed_bytes()
    made = w4a8.multiply_bytes(isa, ROUNDS, threads)
    found = {
        "read_streamed": (streamed, lambda: w4a8.read_bytes(isa, _memory(streamed), threads)),
        "read_resident": (RESIDENT_BYTES, lambda: w4a8.read_bytes(isa, _memory(RESIDENT_BYTES), threads)),
        "int8_peak": (made, lambda: w4a8.multiply_bytes(isa, ROUNDS, threads)),
    }
    return [_row(quantity, amount, call, threads, run_id) for quantity, (amount, call) in found.items()]


def _row(quantity: str, amount: int, call: Callable[[], object], threads: int, run_id: str) -> Row:
    call()
    timing = summarize(_seconds(call, REPEATS))
    return {
        "quantity": quantity,
        "value": amount / timing.median_us * 1e6,
        "unit": "multiply-adds/s" if quantity == "int8_peak" else "bytes/s",
        "spread": amount / timing.median_us * 1e6 * timing.spread_us / timing.median_us,
        "repeats": timing.repeats,
        "threads": threads,
        "device": provenance.cpu_name(),
        "isa": choose_isa(),
        "run_id": run_id,
    }


def _seconds(call: Callable[[], object], repeats: int) -> list[float]:
    found = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        found.append(time.perf_counter() - begun)
    return found
