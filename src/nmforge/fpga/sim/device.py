"""Simulation of the whole device: registers set over AXI4-Lite, banks loaded from two narrow streams."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmforge.core.compressed_linear import CompressedLinear, Int8
from nmforge.core.errors import NmforgeError
from nmforge.fpga.images.weight_image import Kept, activation_image, kept_weights, tiles, weight_image
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.sim.engine import (
    INDEX_ERROR,
    OUTCOME,
    SimulationResult,
    build_flags,
    build_key,
    check_outcome,
    compile_simulator,
    run_program,
)
from nmforge.fpga.sources import DEVICE_HARNESS, rtl_sources


class DeviceStalls(NamedTuple):
    """Percent chance, each cycle, that a stream holds back its next word; `sink`: that a sum is not taken."""

    weight: int = 0
    act: int = 0
    sink: int = 0


CALM = DeviceStalls()
UNTIL_REJECTED = 2**32 - 1  # as `words` of a job that is left
RESET_CYCLES = 8  # and one a row: how long CONTROL holds the engine in reset (nmforge_registers)


def build_device(engine: Engine, build_dir: Path) -> Path:
    """Program that simulates the device; built unless the same sources were built before."""
    program = build_dir / f"device-{build_key(engine, DEVICE_HARNESS)}"
    if not program.exists():
        parameters = [f"-G{name}={value}" for name, value in engine.parameters.items()]
        options = ["-Wall", *parameters]
        compile_simulator(engine.top, rtl_sources(), options, program, DEVICE_HARNESS, build_flags(engine))
    return program


def simulate_device(
    linear: CompressedLinear, xq: Int8, engine: Engine, build_dir: Path, stalls: DeviceStalls = CALM, seed: int = 0,
    program: Path | None = None,
) -> SimulationResult:  # fmt: skip
    """Run int8[M, K] through the device; cycles count from the first word loaded to the last sum taken.

    `program` names a simulator of the same device that was built from something else than its sources: a netlist.
    Raises NmforgeError where the layer is deeper than the banks, or the tokens are more than they hold.
    """
    program = program or build_device(engine, build_dir)
    return simulate_jobs([(kept_weights(linear, engine), xq)], engine, program, stalls, seed)[0]


class Left(NamedTuple):
    """A job that is not finished: left behind so many words of its weight stream or so many of its sums, or where it is
    rejected."""

    kept: Kept
    xq: Int8
    words: int = UNTIL_REJECTED
    sums: int = 0


def simulate_after(
    left: Sequence[Left], kept: Kept, xq: Int8, engine: Engine, program: Path, stalls: DeviceStalls = CALM,
    seed: int = 0,
) -> SimulationResult:  # fmt: skip
    """Run a job on a device that did not finish those before it; returns its result.

    Raises NmforgeError where a job that was to be rejected was not, or one to be left was, or the last was not done.
    """
    before = [
        _stimulus(job.kept, job.xq, _Shape.for_job(job.kept, job.xq, engine), engine, stalls, seed, job) for job in left
    ]
    shape = _Shape.for_job(kept, xq, engine)
    data = run_program(program, b"".join([*before, _stimulus(kept, xq, shape, engine, stalls, seed)]))
    for number, job in enumerate(left):
        wanted = INDEX_ERROR if job.words == UNTIL_REJECTED else 0
        found = OUTCOME.unpack_from(data, number * OUTCOME.size)[1]
        if found != wanted:
            raise NmforgeError(f"job {number} before the last ended with status {found}, not {wanted}")
    return _read_result(data, len(left) * OUTCOME.size, kept, xq, shape, engine)


def simulate_jobs(
    jobs: Sequence[tuple[Kept, Int8]], engine: Engine, program: Path, stalls: DeviceStalls = CALM, seed: int = 0
) -> list[SimulationResult]:
    """Run layers of any patterns the build takes, each with its int8[M, K], one after the other in one simulation.

    Between two jobs the device is reset by its CONTROL register, as long as the register map asks for, and set up anew.
    """
    shapes = [_Shape.for_job(kept, xq, engine) for kept, xq in jobs]
    stimuli = [_stimulus(*job, shape, engine, stalls, seed) for job, shape in zip(jobs, shapes, strict=True)]
    data, offset, found = run_program(program, b"".join(stimuli)), 0, []
    for (kept, xq), shape in zip(jobs, shapes, strict=True):
        found.append(_read_result(data, offset, kept, xq, shape, engine))
        offset += OUTCOME.size + 4 * shape.tiles * engine.multipliers // engine.lanes
    return found


def _read_result(data: bytes, offset: int, kept: Kept, xq: Int8, shape: _Shape, engine: Engine) -> SimulationResult:
    """The job whose outcome is at `offset`; NmforgeError where it was not done."""
    cycles, counted = check_outcome(data, offset)
    count = shape.tiles * engine.multipliers // engine.lanes
    sent = (len(data) - offset - OUTCOME.size) // 4
    if sent < count:
        raise NmforgeError(f"the device ended its tiles after {sent} of {count} sums; its RTL is wrong")
    sums = np.frombuffer(data, "<i4", count, offset + OUTCOME.size).astype(np.int32)
    acc = _outputs(sums, engine, shape.row_tiles, shape.column_tiles)[: len(xq), : kept.n]
    image = weight_image(kept, engine).nbytes
    return SimulationResult(acc, cycles, shape.tiles * shape.steps, image, counted)


class _Shape(NamedTuple):
    """A job in tiles: rows of the array, columns of it, steps of a tile, windows of all column tiles."""

    row_tiles: int
    column_tiles: int
    steps: int
    windows: int

    @classmethod
    def for_job(cls, kept: Kept, xq: Int8, engine: Engine) -> _Shape:
        """Of a layer and its activations; NmforgeError where the banks do not hold them."""
        column_tiles, deep = tiles(xq.shape[0], engine.cols), xq.shape[1] // (engine.window * engine.lanes)
        shape = cls(tiles(kept.n, engine.rows), column_tiles, deep * kept.keep, deep * column_tiles)
        if max(shape.steps, shape.windows) > engine.depth:
            raise NmforgeError(
                f"banks of {engine.depth} rows do not hold {shape.steps} steps and {shape.windows} windows; build a "
                f"device with depth {1 << (max(shape.steps, shape.windows) - 1).bit_length()} or send fewer tokens at "
                "a time"
            )
        return shape

    @property
    def tiles(self) -> int:
        """Tiles of sums."""
        return self.row_tiles * self.column_tiles


def _stimulus(
    kept: Kept, xq: Int8, shape: _Shape, engine: Engine, stalls: DeviceStalls, seed: int, left: Left | None = None
) -> bytes:
    """One job as the testbench reads it: header, weight image, activation image."""
    images = weight_image(kept, engine).tobytes(), activation_image(xq, engine).tobytes()
    header = struct.pack(
        "<16I", kept.keep, xq.shape[1] // engine.group, shape.column_tiles, shape.row_tiles, shape.windows,
        engine.word_bits // 8, engine.act_bits // 8, len(images[0]), len(images[1]), seed, *stalls,
        engine.rows + RESET_CYCLES, *(left[2:] if left else (0, 0)),
    )  # fmt: skip
    return header + b"".join(images)


def _outputs(sums: NDArray[np.int32], engine: Engine, row_tiles: int, column_tiles: int) -> NDArray[np.int32]:
    """Sums in the order of arrival, row tile after row tile -> int32[tokens, channels]."""
    ordered = sums.reshape(row_tiles, column_tiles, engine.cols, engine.rows).transpose(1, 2, 0, 3)
    return ordered.reshape(column_tiles * engine.cols, row_tiles * engine.rows)
