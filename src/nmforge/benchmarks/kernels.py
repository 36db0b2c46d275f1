"""Measure kernels and write their rows: points -> prepared and checked kernels -> alternated timings -> rows."""

from __future__ import annotations

import fnmatch
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from nmforge.benchmarks.caches import CACHES, Cache, copies_needed, last_level_cache, streaming_unsupported_reason
from nmforge.benchmarks.candidates.external.client import missing_reason
from nmforge.benchmarks.candidates.registry import REGISTRY, Kernel, default_kernels
from nmforge.benchmarks.problem import Float32, Prepared, Problem
from nmforge.benchmarks.shapes import bench_group_size
from nmforge.benchmarks.timer import Timing, time_alternating
from nmforge.config import KernelsConfig
from nmforge.core import reference
from nmforge.core.compressed_linear import CompressedLinear, random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import GemmShape, QuantScheme
from nmforge.core.llama7b import SHAPES
from nmforge.io import records
from nmforge.io.progress import steps
from nmforge.kernels.gpu import device

CHECKED_ROWS = 32
DISTINCT_ROWS = 256
TOLERANCE = 0.05  # 4-bit weights, 8-bit activations: a kernel this far from float64 multiplies something else
Row = dict[str, object]


@dataclass(frozen=True)
class BenchSettings:
    """What is measured.

    shapes: (N, K) of the weights. tokens: the values of M. threads: numbers of threads, each measured.
    kernels: names. seconds: time budget of one kernel at one point. llama7b: also the layers of LLaMA-7B at M = 1,
    streamed, with those of `kernels` that are meant for them. seed: of the random weights.
    """

    shapes: Sequence[tuple[int, int]]
    tokens: Sequence[int]
    threads: Sequence[int]
    kernels: Sequence[str] = field(default_factory=default_kernels)
    caches: Sequence[Cache] = CACHES
    seconds: float = 0.1
    llama7b: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Point:
    """One shape in one cache state, for which all kernels alternate."""

    shape: GemmShape
    cache: Cache
    kernels: tuple[Kernel, ...]


@dataclass(frozen=True)
class Ready:
    """A kernel of a point, prepared and checked; its weights have groups of `group_size`, stored `copies` times."""

    kernel: Kernel
    group_size: int
    prepared: Prepared
    copies: int


def run_bench(settings: BenchSettings, out: Path) -> list[Row]:
    """Measure kernels at every (N, K), M and number of threads, resident and streamed; write table `kernels` to `out`.

    All kernels of a point are prepared together and timed in alternation. Kernels of a GPU are measured once, whatever
    the number of threads. Raises NmforgeError for an unknown kernel, for a library whose environment is missing,
    where a kernel's product is wrong, or where none of the kernels can be measured.
    """
    kernels = [REGISTRY.get(name, "kernels.names") for name in settings.kernels]
    missing = missing_reason()
    if missing and any(kernel.external for kernel in kernels):
        raise NmforgeError(missing)
    points = plan(settings)
    _warn_where_nothing_streams(points)
    run_id, rows = uuid.uuid4().hex[:12], list[Row]()
    layers: dict[tuple[int, int], Layers] = {}
    for point in steps(points, "bench", "point"):
        size = (point.shape.n, point.shape.k)
        layers = {size: layers.get(size) or Layers(*size, settings.seed)}
        for threads in settings.threads:
            once = tuple(kernel for kernel in point.kernels if not kernel.on_gpu or threads == settings.threads[0])
            rows += measure(replace(point, kernels=once), layers[size], threads, settings.seconds, run_id)
    if not rows:
        raise NmforgeError(
            f"none of the kernels can be measured here: {_first_reason(kernels)}; name others in kernels.names"
        )
    records.write_point(out, "kernels", rows)
    return rows


def plan(settings: BenchSettings) -> list[Point]:
    """Points in the order they are measured; a LLaMA-7B shape measured anyway is not measured twice."""
    kernels = tuple(REGISTRY.get(name) for name in settings.kernels)
    points = [
        Point(GemmShape(m, n, k), cache, kernels)
        for n, k in settings.shapes
        for m in settings.tokens
        for cache in settings.caches
    ]
    measured = settings.shapes if 1 in settings.tokens and "streamed" in settings.caches else []
    at_llama7b = tuple(kernel for kernel in kernels if kernel.at_llama7b)
    if settings.llama7b and at_llama7b:
        points += [Point(GemmShape(1, n, k), "streamed", at_llama7b) for n, k in SHAPES if (n, k) not in measured]
    return points


def kernels_of(config: KernelsConfig, patterns: Sequence[str]) -> tuple[str, ...]:
    """Names that the config asks for, those of libraries only where it says so; of these, the ones like `patterns`."""
    every = tuple(kernel.name for kernel in REGISTRY) if config.libraries else default_kernels()
    return kernels_like(patterns, tuple(config.names) or every)


def kernels_like(patterns: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Those of the known names that match one of these shell patterns, in order; all where there is no pattern.

    Raises NmforgeError for a pattern that matches no kernel.
    """
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in known):
            raise NmforgeError(f"--kernels {pattern!r} matches no kernel; choose from {', '.join(known)}")
    return tuple(name for name in known if not patterns or any(fnmatch.fnmatchcase(name, p) for p in patterns))


class Layers:
    """Random layers of one (N, K), one for each pattern and bits, made when first asked for."""

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
    """Prepare, check and time the kernels of a point; those that do not support it have no row."""
    ready = {one.kernel.name: one for one in prepare(point, layers, threads)}
    runs = {name: one.prepared.run for name, one in ready.items()}
    timed = {name: one.prepared.timed for name, one in ready.items() if one.prepared.timed}
    timings = time_alternating(runs, seconds, timed=timed)
    return [row(one, point, threads, timings[name]) | {"run_id": run_id} for name, one in ready.items()]


def prepare(point: Point, layers: Layers, threads: int) -> Iterator[Ready]:
    """The kernels of a point that support its shape on this machine, prepared, their products checked.

    One whose weights cannot be stored often enough to be streamed is left out.
    """
    x = np.random.default_rng(point.shape.m).standard_normal((point.shape.m, point.shape.k), dtype=np.float32)
    for kernel in point.kernels:
        scheme = QuantScheme(kernel.code_bits, layers.group_size)
        if kernel.unsupported_reason(kernel.pattern, scheme, point.shape) is not None:
            continue
        problem = Problem(layers.get(kernel), x, threads)
        prepared = kernel.prepare(problem)
        check(kernel, problem, prepared.output())
        copies = _copies(kernel, point.cache, prepared.weight_bytes)
        if copies is not None:
            prepared = prepared if copies == 1 else kernel.prepare(replace(problem, copies=copies))
            yield Ready(kernel, layers.group_size, prepared, copies)


def check(kernel: Kernel, problem: Problem, y: Float32) -> None:
    """Compare the first rows with the reference: `==` for exact kernels, within 5 % in the mean for the others."""
    if kernel.stage == "read":
        return
    block = problem.linear.take_rows(slice(CHECKED_ROWS))
    found = y[:, : block.n]
    if kernel.exact:
        wrong = int((found != reference.forward_w4a8(block, problem.x)).sum())
        if wrong:
            raise _wrong(kernel, f"{wrong} of {found.size} outputs differ from the reference")
        return
    exact = problem.x.astype(np.float64) @ reference.dequantize(block).astype(np.float64).T
    error = float(np.linalg.norm(found - exact) / np.linalg.norm(exact))
    if not error < TOLERANCE:
        raise _wrong(kernel, f"relative error {error:.2g} against float64, above {TOLERANCE}")


def _wrong(kernel: Kernel, finding: str) -> NmforgeError:
    return NmforgeError(f"kernel {kernel.name}: {finding}; leave it out of kernels.names")


def row(ready: Ready, point: Point, threads: int, timing: Timing) -> Row:
    """One row of table `kernels`; a run multiplies by every copy, so times are divided by their number."""
    kernel, copies = ready.kernel, ready.copies
    return {
        "kernel": kernel.name,
        "family": kernel.role,
        "pattern": kernel.pattern.label,
        "bits": kernel.bits,
        "group_size": ready.group_size,
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
        "weight_bytes": ready.prepared.weight_bytes,
    }


def _copies(kernel: Kernel, cache: Cache, weight_bytes: int) -> int | None:
    """`copies_needed` for the cache that streamed weights must not fit into: the GPU's, or the processor's."""
    if cache == "resident":
        return 1
    return copies_needed(cache, weight_bytes, device.cache_bytes() if kernel.on_gpu else last_level_cache())


def _warn_where_nothing_streams(points: Sequence[Point]) -> None:
    """Print why no kernel of the CPU has streamed rows, where that is so."""
    on_cpu = any(not kernel.on_gpu for point in points if point.cache == "streamed" for kernel in point.kernels)
    reason = streaming_unsupported_reason(last_level_cache()) if on_cpu else None
    if reason:
        print(f"nmforge bench: {reason}", file=sys.stderr)


def _first_reason(kernels: Sequence[Kernel]) -> str:
    """Why the first of the kernels that does not support a small layer does not."""
    for kernel in kernels:
        scheme, small = QuantScheme(kernel.code_bits, 128), GemmShape(1, 128, 128)
        reason = kernel.unsupported_reason(kernel.pattern, scheme, small)
        if reason:
            return f"{kernel.name}: {reason}"
    return "no shape and number of tokens is asked for (kernels.shapes, kernels.m)"
