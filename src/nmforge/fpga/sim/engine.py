"""Cycle-accurate simulation of a core, every operand on a stream of its own: one build, then a run for each layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmforge.core.compressed_linear import CompressedLinear, Int8
from nmforge.core.errors import NmforgeError
from nmforge.fpga.images.weight_image import KeptWeights, kept_weights, write_activation_image, write_weight_image
from nmforge.fpga.model.engine import GEMV_DEPTH, Engine
from nmforge.fpga.model.memory import UNLIMITED, MemoryChannel
from nmforge.fpga.model.tiling import tiles
from nmforge.fpga.sim.protocol import ENGINE_JOB, ENGINE_OUTCOME
from nmforge.fpga.sim.simulator import SimulationResult, finished_outcome, read_sums, run_simulator
from nmforge.fpga.sim.verilator import Watch, build_simulator
from nmforge.io.files import write_atomically

RATE_UNIT = 256  # a memory's rate is counted in 1/256 byte a cycle


class Stalls(NamedTuple):
    """Percent chance, each cycle, that an idle stream holds back its next beat; `sink`: that a result is not taken.

    One rate for each stream: with a common one, the streams wait for each other and some orders never happen.
    """

    code: int = 0
    offsets: int = 0
    mult: int = 0
    act: int = 0
    sink: int = 0


NO_STALLS = Stalls()


@dataclass(frozen=True)
class SimulationSettings:
    """What surrounds an engine that is simulated; nothing holds it back and nothing is recorded by default.

    seed draws the stalls. watched names the file for what is watched: a waveform (FST, every signal, two time steps a
    cycle), or the toggles of every signal (`activity.read_toggles`).
    """

    stalls: Stalls = NO_STALLS
    memory: MemoryChannel = UNLIMITED
    seed: int = 0
    watch: Watch = Watch.NOTHING
    watched: Path | None = None


UNHINDERED = SimulationSettings()


@dataclass(frozen=True)
class SimulationJob:
    """One GEMM on one core: M = tokens, N = channels, K = inputs, and `keep` steps a window."""

    engine: Engine
    keep: int
    inputs: int
    channels: int
    tokens: int

    @classmethod
    def for_engine(cls, engine: Engine, kept: KeptWeights, tokens: int) -> SimulationJob:
        """The job of a layer's weight image and `tokens` tokens."""
        inputs = kept.codes.shape[1] * engine.window
        windows = inputs // (engine.window * engine.lanes)
        if engine.kind == "gemv" and windows > GEMV_DEPTH:
            raise NmforgeError(
                f"the GEMV engine's bank holds {GEMV_DEPTH} windows of a token, not {windows}; build one with "
                f"{tiles(windows, GEMV_DEPTH) * engine.lanes} lanes or wider windows"
            )
        return cls(engine, kept.keep, inputs, kept.n, tokens)

    @property
    def row_tiles(self) -> int:
        """Tiles of output channels."""
        return tiles(self.channels, self.engine.channels)

    @property
    def column_tiles(self) -> int:
        """Tiles of tokens."""
        return tiles(self.tokens, self.engine.tokens)

    @property
    def ideal_cycles(self) -> int:
        """Tiles times steps."""
        steps = self.inputs // (self.engine.window * self.engine.lanes) * self.keep
        return self.row_tiles * self.column_tiles * steps

    def header(self, settings: SimulationSettings = UNHINDERED) -> bytes:
        """The record that the testbench reads before the images."""
        engine, memory, rate = self.engine, settings.memory, _memory_rate(settings.memory)
        return ENGINE_JOB.pack({
            "keep": self.keep, "groups_per_tile": self.inputs // engine.group,
            "steps_per_group": engine.windows_per_group * self.keep, "windows_per_group": engine.windows_per_group,
            "groups_per_block": engine.groups_per_block,
            "row_tiles": self.row_tiles, "column_tiles": self.column_tiles,
            "code_bytes": engine.code_bytes, "index_bytes": engine.index_bytes(self.keep),
            "mult_bytes": engine.channels, "act_bytes": engine.act_bytes, "acc_bytes": 4 * engine.rows,
            "beats_per_tile": engine.cols, "act_once": int(engine.kind == "gemv"), "seed": settings.seed,
            **_stall_fields(settings.stalls),
            "memory_rate": rate, "memory_latency": memory.latency,
            "refresh_interval": memory.refresh_interval, "refresh_cycles": memory.refresh_cycles,
        })  # fmt: skip

    def outputs(self, sums: NDArray[np.int32]) -> NDArray[np.int32]:
        """Sums in the order of arrival -> int32[tokens, channels]."""
        engine = self.engine
        shape = (self.column_tiles, self.row_tiles, engine.cols, engine.rows)
        order = (0, 2, 1, 3) if engine.kind == "gemm" else (0, 1, 3, 2)
        padded = self.column_tiles * engine.tokens, self.row_tiles * engine.channels
        return sums.reshape(shape).transpose(order).reshape(padded)[: self.tokens, : self.channels]


def simulate(
    linear: CompressedLinear, xq: Int8, engine: Engine, build_dir: Path, settings: SimulationSettings = UNHINDERED
) -> SimulationResult:
    """Run int8[M, K] through a core; any N and M."""
    kept = kept_weights(linear, engine)
    job = SimulationJob.for_engine(engine, kept, xq.shape[0])
    images = write_weight_image(kept, engine).tobytes() + write_activation_image(xq, engine).tobytes()
    return run_job(build_simulator(engine, build_dir, settings.watch), job, images, settings)


def run_job(
    program: Path, job: SimulationJob, images: bytes, settings: SimulationSettings = UNHINDERED
) -> SimulationResult:
    """Run a job whose images are made already: weight image, then activation image.

    Raises NmforgeError where the loader rejects the image or the engine stands still.
    """
    stimulus = job.header(settings) + images
    if settings.watched is None:
        data = run_simulator(program, stimulus)
    else:
        found: list[bytes] = []
        write_atomically(settings.watched, lambda path: found.append(run_simulator(program, stimulus, path)))
        data = found[0]
    outcome = finished_outcome(ENGINE_OUTCOME, data)
    acc = job.outputs(read_sums(data, ENGINE_OUTCOME.size))
    return SimulationResult(acc, outcome["cycles"], job.ideal_cycles, outcome["weight_bytes"])


def _memory_rate(memory: MemoryChannel) -> int:
    """Its rate as the testbench counts it."""
    rate = round(RATE_UNIT * memory.bytes_per_cycle)
    if memory.is_limited and rate < 1:
        raise NmforgeError(f"memory of {memory.bytes_per_cycle} bytes a cycle never delivers; use 1/256 or more")
    return rate


def _stall_fields(stalls: Stalls) -> dict[str, int]:
    """The stalls as the testbench reads them."""
    for stream, percent in stalls._asdict().items():
        if not 0 <= percent < 100:
            raise NmforgeError(f"{percent} % of stalls on stream {stream} leave no progress; choose 0..99")
    return {f"stall_{stream}": percent for stream, percent in stalls._asdict().items()}
