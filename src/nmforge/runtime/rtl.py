"""Linear layers whose integer sums come from the simulated accelerator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from nmforge.core.compressed_linear import CompressedLinear, Int8
from nmforge.core.errors import NmforgeError
from nmforge.core.reference import Int32
from nmforge.fpga.images.weight_image import kept_weights, write_activation_image, write_weight_image
from nmforge.fpga.model.engine import Core, Engine, engine_group
from nmforge.fpga.model.tiling import tiles
from nmforge.fpga.sim.engine import SimulationJob, run_job
from nmforge.fpga.sim.verilator import build_simulator
from nmforge.runtime.backends import ARRAY, Backend, Sums


@dataclass
class Simulated:
    """What the simulator has done: outputs int32 computed, how many were compared, engine cycles.

    Cycles are those of one engine that runs every layer, and every part of a layer, one after the other.
    """

    outputs: int = 0
    compared: int = 0
    cycles: int = 0


class RtlBackend:
    """Backend on the Verilator simulation: several tokens go to the gemm core, a single one to the gemv core.

    Weight images are made once and kept, a few bits a weight, so a call costs the simulation and little else.
    """

    def __init__(
        self, build_dir: Path, array: tuple[int, int] = ARRAY, threads: int = 1, expected: Backend | None = None
    ) -> None:
        """array: rows and columns of the engines, with fewer columns where a layer's groups are short.

        build_dir keeps simulator builds.
        threads: simulations that run at once, each on its share of the output channels.
        expected: a backend whose sums every simulated one is compared with.
        """
        self.build_dir, self.array, self.expected = build_dir, array, expected
        self.totals = Simulated()
        self._pool = ThreadPoolExecutor(threads)
        self._threads = threads
        self._programs: dict[Engine, Path] = {}

    def __call__(self, name: str, linear: CompressedLinear) -> Sums:
        """Bind a layer; its images are made now, and `linear` is not kept.

        The sums raise NmforgeError naming the layer where one differs from the `expected` backend's.
        """
        gemm, gemv = (self._parts(linear, engine_of(linear, *self.array, kind)) for kind in ("gemm", "gemv"))
        expected = self.expected(name, linear) if self.expected else None
        return partial(self._sums, name, gemm, gemv, expected)

    def _parts(self, linear: CompressedLinear, engine: Engine) -> list[_Part]:
        """The layer cut into one part a thread, on tile borders so that no cycle is added by the cut."""
        if engine not in self._programs:
            self._programs[engine] = build_simulator(engine, self.build_dir)
        share = tiles(tiles(linear.n, engine.channels), self._threads) * engine.channels
        rows = [slice(first, first + share) for first in range(0, linear.n, share)]
        return [_Part.from_linear(linear.take_rows(some), engine, self._programs[engine]) for some in rows]

    def _sums(self, name: str, gemm: list[_Part], gemv: list[_Part], expected: Sums | None, xq: Int8) -> Int32:
        parts = gemv if xq.shape[0] == 1 else gemm
        found = list(self._pool.map(lambda part: part.run(xq), parts))
        acc = np.concatenate([sums for sums, _ in found], axis=1)
        self.totals.outputs += acc.size
        self.totals.cycles += sum(cycles for _, cycles in found)
        if expected:
            self._compare(name, acc, expected(xq))
        return acc

    def _compare(self, name: str, found: Int32, wanted: Int32) -> None:
        mismatches = int((found != wanted).sum())
        if mismatches:
            raise NmforgeError(
                f"layer {name}: {mismatches} of {found.size} sums of the RTL simulation differ from the CPU kernel's; "
                "run nmforge coherence on this artifact to see which of the two is wrong"
            )
        self.totals.compared += found.size


def engine_of(linear: CompressedLinear, rows: int, cols: int, kind: Core) -> Engine:
    """The engine of a kind for a layer: at most `cols` columns, fewer where its groups are short."""
    group = engine_group(linear.group_size, linear.pattern)
    return Engine.widest(linear.pattern, linear.bits, rows, cols, group, kind)


@dataclass(frozen=True)
class _Part:
    """Output channels of a layer as one engine streams them. The only place that knows how a simulation is started."""

    program: Path
    job: SimulationJob  # for one token
    image: bytes

    @classmethod
    def from_linear(cls, linear: CompressedLinear, engine: Engine, program: Path) -> _Part:
        """Make the weight image."""
        kept = kept_weights(linear, engine)
        return cls(program, SimulationJob.for_engine(engine, kept, 1), write_weight_image(kept, engine).tobytes())

    def run(self, xq: Int8) -> tuple[Int32, int]:
        """int8[M, K] -> (int32[M, n], cycles)."""
        job = replace(self.job, tokens=xq.shape[0])
        found = run_job(self.program, job, self.image + write_activation_image(xq, job.engine).tobytes())
        return found.acc, found.cycles
