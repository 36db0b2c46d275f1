"""Measure kernels and write their rows."""

from __future__ import annotations

import fnmatch
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nmforge.benchmarks.caches import CACHES, Cache, copies_for, last_level_cache, why_not_streamed
from nmforge.benchmarks.candidates import torch_cuda
from nmforge.benchmarks.candidates.external.client import why_missing
from nmforge.benchmarks.problem import Float32, Prepared, Problem
from nmforge.benchmarks.registry import HERE, KERNELS, Kernel
from nmforge.benchmarks.shapes import LLAMA7B_KERNELS, bench_group_size
from nmforge.benchmarks.timer import Timing, time_alternating
from nmforge.core import reference
from nmforge.core.compressed_linear import CompressedLinear, random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import GemmShape, QuantScheme
from nmforge.core.llama7b import SHAPES
from nmforge.io import records

CHECKED_ROWS = 32
DISTINCT_ROWS = 256
PEER_TOLERANCE = 0.05  # 4-bit weights, 8-bit activations: a peer this far off multiplies something else
Row = dict[str, object]


@dataclass(frozen=True)
class Point:
    """One shape in one cache state, for which all kernels alternate."""

    shape: GemmShape
    cache: Cache
    kernels: tuple[str, ...]


def run_bench(
    shapes: Sequence[tuple[int, int]],
    m_values: Sequence[int],
    threads: Sequence[int],
    out: Path,
    *,
    kernels: Sequence[str] = HERE,
    caches: Sequence[Cache] = CACHES,
    seconds: float = 0.1,
    llama7b: bool = True,
    seed: int = 0,
) -> list[Row]:
    """Measure `kernels` at every (N, K), M and number of threads, resident and streamed, and write the rows of table
    `kernels` to `out`.

    All kernels of a point are prepared together and take turns; each gets about `seconds`; those of a GPU, to which
    threads are nothing, are measured once. With `llama7b`, the layers of LLaMA-7B follow at M = 1, streamed, for
    `LLAMA7B_KERNELS`. Raises NmforgeError for an unknown kernel, for a peer whose environment is missing, where a
    kernel's product is wrong, or where none of the kernels can be measured.
    """
    unknown = [name for name in kernels if name not in KERNELS]
    if unknown:
        raise NmforgeError(f"kernel {unknown[0]!r} is not in the table; choose from {', '.join(KERNELS)}")
    missing = why_missing()
    if missing and any(KERNELS[name].elsewhere for name in kernels):
        raise NmforgeError(missing)
    points = plan(shapes, m_values, kernels, caches, llama7b)
    streamed = [name for point in points if point.cache == "streamed" for name in point.kernels]
    on_cpu = any(not KERNELS[name].on_gpu for name in streamed)
    reason = why_not_streamed(last_level_cache()) if on_cpu else None
    if reason:
        print(f"nmforge bench: {reason}", file=sys.stderr)
    run_id, rows = uuid.uuid4().hex[:12], list[Row]()
    layers: dict[tuple[int, int], Layers] = {}
    for point in tqdm(points, desc="bench", unit="point", disable=None):
        size = (point.shape.n, point.shape.k)
        layers = {size: layers.get(size) or Layers(*size, seed)}
        for count in threads:
            names = tuple(name for name in point.kernels if not KERNELS[name].on_gpu or count == threads[0])
            rows += measure(replace(point, kernels=names), layers[size], count, seconds, run_id)
    if not rows:
        raise NmforgeError(f"none of the kernels can be measured here: {_first_reason(kernels)}")
    records.write_point(out, "kernels", rows)
    return rows


def plan(
    shapes: Sequence[tuple[int, int]], m_values: Sequence[int], kernels: Sequence[str], caches: Sequence[Cache],
    llama7b: bool,
) -> list[Point]:  # fmt: skip
    """Points in the order they are measured; a LLaMA-7B shape measured anyway is not measured twice."""
    points = [Point(GemmShape(m, n, k), cache, tuple(kernels)) for n, k in shapes for m in m_values for cache in caches]
    measured = set(shapes) if 1 in m_values and "streamed" in caches else set()
    wanted = tuple(name for name in LLAMA7B_KERNELS if name in kernels)
    for n, k in SHAPES if llama7b and wanted else []:
        if (n, k) not in measured:
            points.append(Point(GemmShape(1, n, k), "streamed", wanted))
    return points


def kernels_like(patterns: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The kernels whose names match one of these shell patterns, in the table's order; all where there is none.

    Raises NmforgeError for a pattern that matches no kernel.
    """
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in known):
            raise NmforgeError(f"--kernels {pattern!r} matches no kernel; choose from {', '.join(known)}")
    return tuple(name for name in known if not patterns or any(fnmatch.fnmatchcase(name, p) for p in patterns))


class Layers:
    """Generated layers of one (N, K), one per pattern and bits, made when first asked for."""

    def __init__(self, n: int, k: int, seed: int) -> None:
        self.n, self.k, self.group_size = n, k, bench_group_size(k)
        self._seed = seed
        self._made: dict[tuple[object, int], CompressedLinear] = {}

    def get(self, kernel: Kernel) -> CompressedLinear:
        """The layer a kernel is measured with: at most 256 distinct rows, repeated: values do not change times."""
        key = (kernel.pattern, kernel.code_bits)
        if key not in self._made:
            rng = np.random.default_rng(self._seed)
            rows = min(self.n, DISTINCT_ROWS)
            few = random_linear(rng, rows, self.k, kernel.pattern, kernel.code_bits, self.group_size)
            self._made[key] = few.take_rows(np.arange(self.n) % rows)
        return self._made[key]


def measure(point: Point, layers: Layers, threads: int, seconds: float, run_id: str) -> list[Row]:
    """Prepare, check and time the kernels of a point; those that decline it have no row."""
    x = np.random.default_rng(point.shape.m).standard_normal((point.shape.m, point.shape.k), dtype=np.float32)
    ready: dict[str, tuple[Prepared, int]] = {}
    for kernel in supported(point, layers.group_size):
        problem = Problem(layers.get(kernel), x, threads)
        prepared = kernel.prepare(problem)
        check(kernel, problem, prepared.output())
        copies = _copies(kernel, point.cache, prepared.weight_bytes)
        if copies is None:
            continue
        if copies > 1:
            prepared = kernel.prepare(replace(problem, copies=copies))
        ready[kernel.name] = (prepared, copies)
    runs = {name: prepared.run for name, (prepared, _) in ready.items()}
    timed = {name: prepared.timed for name, (prepared, _) in ready.items() if prepared.timed}
    timings = time_alternating(runs, seconds, timed=timed)
    return [
        row(KERNELS[name], point, layers.group_size, threads, timings[name], *ready[name], run_id) for name in ready
    ]


def _copies(kernel: Kernel, cache: Cache, weight_bytes: int) -> int | None:
    """`copies_for` the cache that streamed weights have to miss: the GPU's, or the processor's."""
    if cache == "resident":
        return 1
    return copies_for(cache, weight_bytes, torch_cuda.cache_bytes() if kernel.on_gpu else last_level_cache())


def _first_reason(kernels: Sequence[str]) -> str:
    """Why the first of the kernels that declines a small layer does so."""
    for kernel in (KERNELS[name] for name in kernels):
        reason = kernel.supports(kernel.pattern, QuantScheme(kernel.code_bits, 128), GemmShape(1, 128, 128))
        if reason:
            return f"{kernel.name}: {reason}"
    return "no shape and number of tokens is asked for (kernels.shapes, kernels.m)"


def supported(point: Point, group_size: int) -> Iterator[Kernel]:
    """The kernels of a point that take its shape on this machine."""
    for name in point.kernels:
        kernel = KERNELS[name]
        if kernel.supports(kernel.pattern, QuantScheme(kernel.code_bits, group_size), point.shape) is None:
            yield kernel


def check(kernel: Kernel, problem: Problem, y: Float32) -> None:
    """Compare the first rows with the reference: `==` for exact kernels, within 5 % in the mean for the others."""
    if kernel.stage == "read":
        return
    block = problem.linear.take_rows(slice(CHECKED_ROWS))
    found = y[:, : block.n]
    if kernel.exact:
        wrong = int((found != reference.forward_w4a8(block, problem.x)).sum())
        if wrong:
            raise NmforgeError(f"kernel {kernel.name}: {wrong} of {found.size} outputs differ from the reference")
        return
    exact = problem.x.astype(np.float64) @ reference.dequantize(block).astype(np.float64).T
    error = float(np.linalg.norm(found - exact) / np.linalg.norm(exact))
    if not error < PEER_TOLERANCE:
        raise NmforgeError(f"kernel {kernel.name}: relative error {error:.2g} against float64, above {PEER_TOLERANCE}")


def row(
    kernel: Kernel, point: Point, group_size: int, threads: int, timing: Timing, prepared: Prepared, copies: int,
    run_id: str,
) -> Row:  # fmt: skip
    """One row of table `kernels`; a run multiplies by every copy, so times are divided by their number."""
    return {
        "kernel": kernel.name,
        "family": kernel.family,
        "pattern": "dense" if kernel.pattern.is_dense else str(kernel.pattern),
        "bits": kernel.bits,
        "group_size": group_size,
        "stage": kernel.stage,
        "device": kernel.device,
        "isa": kernel.isa,
        "threads": 1 if kernel.on_gpu else threads,
        "m": point.shape.m,
        "n": point.shape.n,
        "k": point.shape.k,
        "cache": point.cache,
        "copies": copies,
        "median_us": timing.median_us / copies,
        "spread_us": timing.spread_us / copies,
        "repeats": timing.repeats,
        "weight_bytes": prepared.weight_bytes,
        "run_id": run_id,
    }
