"""Cycle-accurate simulation of an engine: build once per configuration, run per layer."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmforge.core.compressed_linear import CompressedLinear, Int8
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.fpga.images.weight_image import Kept, activation_image, kept_weights, tiles, weight_image
from nmforge.fpga.model.engine import GEMV_DEPTH, Engine, engine_group
from nmforge.fpga.sources import HARNESS, TRACE_CODECS, rtl_sources, run_make, run_verilator, verilator_version
from nmforge.io.files import write_atomically

# Nothing of the system is linked: the codecs of a trace are headers of our own.
BUILD_FLAGS = ["OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1", "LDLIBS="]
LARGE, LARGE_FLAGS = 128, ["OPT_FAST=-O2"]  # from so many multipliers on: twice the build, a sixth off every run
FLAGS = ["--cc", "--exe", "-O3", "--x-assign", "unique", "--x-initial", "unique"]
DONE, INDEX_ERROR, NO_PROGRESS, BROKEN_OFFER = range(4)
OUTCOME = struct.Struct("<4Q")  # in front of the sums: cycles, status, steps or words taken, bytes or CYCLES register


class Stalls(NamedTuple):
    """Percent chance, each cycle, that an idle stream holds back its next beat; `sink`: that a result is not taken.

    One rate for each stream: with a common one, the streams wait for each other and some orders never happen.
    """

    code: int = 0
    offsets: int = 0
    mult: int = 0
    act: int = 0
    sink: int = 0


CALM = Stalls()


class Memory(NamedTuple):
    """External memory the weights come from, in cycles of the engine.

    bytes_per_cycle 0 means no limit. Refresh stops the memory for `refresh_cycles` of every `refresh_interval`.
    """

    bytes_per_cycle: float = 0
    latency: int = 0
    refresh_interval: int = 0
    refresh_cycles: int = 0

    @property
    def sustained(self) -> float:
        """Bytes a cycle that are left after refresh."""
        lost = self.refresh_cycles / self.refresh_interval if self.refresh_interval else 0
        return self.bytes_per_cycle * (1 - lost)


UNLIMITED = Memory()


@dataclass(frozen=True)
class SimulationResult:
    """acc int32[M, N]; cycles from the first offered beat to the last accepted sum; bytes read of the weight image."""

    acc: NDArray[np.int32]
    cycles: int
    ideal_cycles: int  # tiles * steps: every PE takes one step each cycle, no fill, no drain
    weight_bytes: int
    counted: int | None = None  # what a device's CYCLES register says

    @property
    def efficiency(self) -> float:
        """Share of the cycles in which the array could not have done better."""
        return self.ideal_cycles / self.cycles


class Watch(Enum):
    """What a simulator can leave besides the sums; a build of its own for each, several times slower."""

    NOTHING = ()
    WAVEFORM = ("--trace-fst", "-CFLAGS", f"-DTRACE -I{TRACE_CODECS}")
    TOGGLES = ("--coverage-toggle", "-CFLAGS", "-DTOGGLES")


def build_simulator(engine: Engine, build_dir: Path, watch: Watch = Watch.NOTHING) -> Path:
    """Program that simulates `engine`; built in `build_dir` unless the same sources were built before."""
    program = build_dir / f"{engine.kind}-{build_key(engine, HARNESS, watch)}"
    if program.exists():
        return program
    parameters = [f"-G{name}={value}" for name, value in engine.parameters.items()]
    options = ["-CFLAGS", "-DGEMV"] if engine.kind == "gemv" else []
    options = ["-Wall", *parameters, *options, *watch.value]
    compile_simulator(engine.top, rtl_sources(), options, program, flags=build_flags(engine))
    return program


def build_flags(engine: Engine) -> list[str]:
    """What the C++ of an engine's simulator is compiled with."""
    return [*BUILD_FLAGS, *(LARGE_FLAGS if engine.multipliers >= LARGE else [])]


def compile_simulator(
    top: str, sources: Sequence[Path], options: Sequence[str], program: Path, harness: Path = HARNESS,
    flags: Sequence[str] = BUILD_FLAGS,
) -> None:  # fmt: skip
    """Compile a top module with a testbench into `program`, which appears only once it is complete."""
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="verilate-", dir=program.parent) as folder:
        work = Path(folder)
        run_verilator(
            [*FLAGS, "--prefix", "Vengine", "--Mdir", ".", "--top-module", top, "-CFLAGS", f"-I{harness.parent}",
             *options, *(str(source.absolute()) for source in sources), str(harness)],
            work,
        )  # fmt: skip
        run_make(["-f", "Vengine.mk", "-j", str(os.cpu_count() or 1), *flags, "Vengine"], work)
        shutil.move(work / "Vengine", work.with_suffix(".program"))
        work.with_suffix(".program").replace(program)


@dataclass(frozen=True)
class Job:
    """One layer on one engine: what the testbench is told beside the images."""

    engine: Engine
    keep: int
    k: int
    row_tiles: int
    column_tiles: int

    @classmethod
    def for_engine(cls, engine: Engine, kept: Kept, tokens: int) -> Job:
        """The job of a layer's weight image and `tokens` tokens."""
        k = kept.codes.shape[1] * engine.window
        windows = k // (engine.window * engine.lanes)
        if engine.kind == "gemv" and windows > GEMV_DEPTH:
            raise NmforgeError(
                f"the GEMV engine's bank holds {GEMV_DEPTH} windows of a token, not {windows}; build one with "
                f"{tiles(windows, GEMV_DEPTH) * engine.lanes} lanes or wider windows"
            )
        return cls(engine, kept.keep, k, tiles(kept.n, engine.channels), tiles(tokens, engine.tokens))

    def header(self, stalls: Stalls = CALM, memory: Memory = UNLIMITED, seed: int = 0) -> bytes:
        """The little-endian u32 in front of the images, as struct Header of the testbench reads them."""
        for stream, percent in stalls._asdict().items():
            if not 0 <= percent < 100:
                raise NmforgeError(f"{percent} % of stalls on stream {stream} leave no progress; choose 0..99")
        engine = self.engine
        rate = round(256 * memory.bytes_per_cycle)
        if memory != UNLIMITED and rate < 1:
            raise NmforgeError(f"memory of {memory.bytes_per_cycle} bytes a cycle never delivers; use 1/256 or more")
        return struct.pack(
            "<24I", self.keep, self.k // engine.group, engine.windows_per_group * self.keep, engine.windows_per_group,
            engine.groups_per_block, self.row_tiles, self.column_tiles, engine.code_bytes,
            engine.index_bytes(self.keep), engine.channels, engine.act_bytes, 4 * engine.rows, engine.cols,
            int(engine.kind == "gemv"), seed, *stalls, rate, *memory[1:],
        )  # fmt: skip

    def outputs(self, beats: NDArray[np.int32]) -> NDArray[np.int32]:
        """Sums in the order of arrival -> int32[tokens, channels], padding included."""
        engine = self.engine
        shape = (self.column_tiles, self.row_tiles, engine.cols, engine.rows)
        order = (0, 2, 1, 3) if engine.kind == "gemm" else (0, 1, 3, 2)
        flat = beats.reshape(shape).transpose(order)
        return flat.reshape(self.column_tiles * engine.tokens, self.row_tiles * engine.channels)


def simulate(
    linear: CompressedLinear,
    xq: Int8,
    engine: Engine,
    build_dir: Path,
    stalls: Stalls = CALM,
    memory: Memory = UNLIMITED,
    seed: int = 0,
    watch: Watch = Watch.NOTHING,
    watched: Path | None = None,
) -> SimulationResult:
    """Run int8[M, K] through an engine; any N and M. `seed` draws the stalls.

    `watched` names the file for what is watched: a waveform (FST, every signal, two time steps a cycle), or the toggles
    of every signal (`activity.read_toggles`).
    """
    kept = kept_weights(linear, engine)
    job = Job.for_engine(engine, kept, xq.shape[0])
    images = weight_image(kept, engine).tobytes() + activation_image(xq, engine).tobytes()
    program = build_simulator(engine, build_dir, watch)
    run = partial(run_job, program, job, images, xq.shape[0], linear.n, stalls, memory, seed)
    if watched is None:
        return run()
    found: list[SimulationResult] = []
    write_atomically(watched, lambda temporary: found.append(run(temporary)))
    return found[0]


def run_job(
    program: Path, job: Job, images: bytes, m: int, n: int, stalls: Stalls = CALM, memory: Memory = UNLIMITED,
    seed: int = 0, watched: Path | None = None,
) -> SimulationResult:  # fmt: skip
    """Run a job whose images are made already: weight image, then activation image."""
    run = run_simulator(program, job.header(stalls, memory, seed) + images, *([watched] if watched else []))
    ideal = job.row_tiles * job.column_tiles * (job.k // (job.engine.window * job.engine.lanes)) * job.keep
    return SimulationResult(job.outputs(run.sums)[:m, :n], run.cycles, ideal, run.weight_bytes)


def engine_for(linear: CompressedLinear, rows: int, cols: int, window: int | None = None) -> Engine:
    """The GEMM engine for a layer; `window` names a build with wider windows than the layer's own."""
    group = engine_group(linear.group_size, Pattern(1, window) if window else linear.pattern)
    return Engine(window or linear.pattern.window, linear.bits, rows, cols, group)


class Run(NamedTuple):
    """What the testbench reports: sums in the order of arrival, int32[beats * rows]."""

    sums: NDArray[np.int32]
    cycles: int
    weight_bytes: int


def run_simulator(program: Path, stimulus: bytes, *arguments: Path) -> Run:
    """Run one stimulus, `arguments` behind it; raises NmforgeError where the loader rejects it or the engine stalls."""
    data = run_program(program, stimulus, *arguments)
    cycles, weight_bytes = check_outcome(data)
    return Run(np.frombuffer(data, dtype="<i4", offset=OUTCOME.size).astype(np.int32), cycles, weight_bytes)


def run_program(program: Path, stimulus: bytes, *arguments: Path) -> bytes:
    """What a simulator writes for a stimulus; raises NmforgeError where it does not end as it should."""
    with tempfile.TemporaryDirectory(prefix="nmforge-sim-") as folder:
        source, result = Path(folder) / "stimulus.bin", Path(folder) / "result.bin"
        source.write_bytes(stimulus)
        done = subprocess.run([program.resolve(), source, result, *arguments], capture_output=True, text=True)
        if done.returncode < 0:
            raise NmforgeError(f"the simulation {program} was killed by signal {-done.returncode}; run it again")
        if done.returncode:
            raise NmforgeError(f"the simulation {program} ended with status {done.returncode}; delete it and run again")
        return result.read_bytes()


def check_outcome(data: bytes, offset: int = 0) -> tuple[int, int]:
    """(cycles, the fourth number) of the outcome at `offset`; raises NmforgeError where the job was not done."""
    cycles, status, launched, last = OUTCOME.unpack_from(data, offset)
    if status == INDEX_ERROR:
        sent = (len(data) - offset - OUTCOME.size) // np.dtype(np.int32).itemsize
        raise NmforgeError(
            f"the loader rejected the weight stream within its first {launched} beats, {sent} sums sent: its indices "
            "do not ascend; make the weight image again from the artifact"
        )
    if status == NO_PROGRESS:
        raise NmforgeError(f"the simulation stood still after {launched} beats; the image does not fit the engine")
    if status == BROKEN_OFFER:
        raise NmforgeError("the engine took back what it had offered before it was taken; its RTL breaks AXI")
    return int(cycles), int(last)


def build_key(engine: Engine, harness: Path, watch: Watch = Watch.NOTHING) -> str:
    """Hash of everything a build depends on."""
    tools = f"{FLAGS} {build_flags(engine)} {verilator_version()}"
    digest = hashlib.sha256(f"{engine.top} {engine.parameters} {watch.name} {tools}".encode())
    codecs = sorted(TRACE_CODECS.glob("*.h")) if watch is Watch.WAVEFORM else []
    for path in (*rtl_sources(), harness, *harness.parent.glob("*.hpp"), *codecs):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]
