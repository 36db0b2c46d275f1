"""Simulation of the whole device: registers set over AXI4-Lite, banks loaded from two narrow streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmforge.core.compressed_linear import CompressedLinear, Int8
from nmforge.core.errors import NmforgeError
from nmforge.fpga.images.weight_image import KeptWeights, kept_weights, write_activation_image, write_weight_image
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.model.tiling import tiles
from nmforge.fpga.sim.protocol import DEVICE_JOB, DEVICE_OUTCOME
from nmforge.fpga.sim.simulator import SUM_BYTES, SimulationResult, finished_outcome, read_sums, run_simulator
from nmforge.fpga.sim.verilator import build_simulator


class DeviceStalls(NamedTuple):
    """Percent chance, each cycle, that a stream holds back its next word; `sink`: that a sum is not taken."""

    weight: int = 0
    act: int = 0
    sink: int = 0


NO_STALLS = DeviceStalls()
RESET_CYCLES = 8  # and one a row: how long CONTROL holds the device in reset (nmforge_registers)


class Stop(NamedTuple):
    """After how many words of weights or sums a job is abandoned; 0: never. `protocol.UNTIL_REJECTED` words: when it
    is rejected."""

    words: int = 0
    sums: int = 0


NEVER = Stop()


@dataclass(frozen=True)
class DeviceJob:
    """A layer's kept weights and its int8[M, K] on one device.

    Raises NmforgeError where the layer is deeper than the banks, or the tokens are more than they hold.
    """

    engine: Engine
    kept: KeptWeights
    xq: Int8

    def __post_init__(self) -> None:
        depth = max(self.steps, self.windows)
        if depth > self.engine.depth:
            raise NmforgeError(
                f"banks of {self.engine.depth} rows do not hold {self.steps} steps and {self.windows} windows; build a "
                f"device with depth {1 << (depth - 1).bit_length()} or send fewer tokens at a time"
            )

    @property
    def row_tiles(self) -> int:
        """Tiles of output channels."""
        return tiles(self.kept.n, self.engine.rows)

    @property
    def column_tiles(self) -> int:
        """Tiles of tokens."""
        return tiles(self.xq.shape[0], self.engine.cols)

    @property
    def windows_per_token(self) -> int:
        """Windows of one lane."""
        return int(self.xq.shape[1]) // (self.engine.window * self.engine.lanes)

    @property
    def steps(self) -> int:
        """Steps of a tile."""
        return self.windows_per_token * self.kept.keep

    @property
    def windows(self) -> int:
        """Windows of all column tiles."""
        return self.windows_per_token * self.column_tiles

    @property
    def sums(self) -> int:
        """Sums that the device sends, padding included."""
        return self.row_tiles * self.column_tiles * self.engine.rows * self.engine.cols

    @property
    def result_bytes(self) -> int:
        """Bytes that the testbench writes for the job."""
        return DEVICE_OUTCOME.size + SUM_BYTES * self.sums

    def stimulus(self, stalls: DeviceStalls = NO_STALLS, seed: int = 0, stop: Stop = NEVER) -> bytes:
        """The job as the testbench reads it: its record, the weight image, the activation image."""
        engine = self.engine
        weights = write_weight_image(self.kept, engine).tobytes()
        acts = write_activation_image(self.xq, engine).tobytes()
        header = DEVICE_JOB.pack({
            "keep": self.kept.keep, "groups_per_tile": self.xq.shape[1] // engine.group,
            "column_tiles": self.column_tiles, "row_tiles": self.row_tiles, "windows": self.windows,
            "word_bytes": engine.word_bits // 8, "act_word_bytes": engine.act_bits // 8,
            "weight_bytes": len(weights), "act_bytes": len(acts), "seed": seed,
            **{f"stall_{stream}": percent for stream, percent in stalls._asdict().items()},
            "reset_cycles": engine.rows + RESET_CYCLES, "stop_words": stop.words, "stop_sums": stop.sums,
        })  # fmt: skip
        return header + weights + acts

    def result(self, data: bytes, offset: int = 0) -> SimulationResult:
        """What the testbench wrote of the job at `offset`; raises NmforgeError where it was not done."""
        outcome = finished_outcome(DEVICE_OUTCOME, data, offset)
        sent = (len(data) - offset - DEVICE_OUTCOME.size) // SUM_BYTES
        if sent < self.sums:
            raise NmforgeError(f"the device ended its tiles after {sent} of {self.sums} sums; its RTL is wrong")
        acc = self._outputs(read_sums(data, offset + DEVICE_OUTCOME.size, self.sums))
        ideal = self.row_tiles * self.column_tiles * self.steps
        image_bytes = write_weight_image(self.kept, self.engine).nbytes
        return SimulationResult(acc, outcome["cycles"], ideal, image_bytes, outcome["counted"])

    def _outputs(self, sums: NDArray[np.int32]) -> NDArray[np.int32]:
        """Sums in the order of arrival, row tile after row tile -> int32[tokens, channels]."""
        rows, cols = self.engine.rows, self.engine.cols
        ordered = sums.reshape(self.row_tiles, self.column_tiles, cols, rows).transpose(1, 2, 0, 3)
        padded = ordered.reshape(self.column_tiles * cols, self.row_tiles * rows)
        return padded[: self.xq.shape[0], : self.kept.n]


def simulate_device(
    linear: CompressedLinear, xq: Int8, engine: Engine, build_dir: Path, stalls: DeviceStalls = NO_STALLS,
    seed: int = 0, program: Path | None = None,
) -> SimulationResult:  # fmt: skip
    """Run int8[M, K] through the device; cycles count from the first word loaded to the last sum taken.

    `program` names a simulator of the same device that was built from something else than its sources: a netlist.
    Raises NmforgeError where the layer is deeper than the banks, or the tokens are more than they hold.
    """
    job = DeviceJob(engine, kept_weights(linear, engine), xq)
    return simulate_jobs([job], program or build_simulator(engine, build_dir), stalls, seed)[0]


def simulate_jobs(
    jobs: Sequence[DeviceJob], program: Path, stalls: DeviceStalls = NO_STALLS, seed: int = 0
) -> list[SimulationResult]:
    """Run jobs of any patterns the build takes, one after the other in one simulation.

    Between two jobs the device is reset by its CONTROL register, as long as the register map asks for, and set up anew.
    """
    data, offset, found = run_simulator(program, b"".join(job.stimulus(stalls, seed) for job in jobs)), 0, []
    for job in jobs:
        found.append(job.result(data, offset))
        offset += job.result_bytes
    return found
