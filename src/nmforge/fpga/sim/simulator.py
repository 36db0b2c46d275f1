"""Runs a simulator that was built, and reads how its job ended."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmforge.core.errors import NmforgeError
from nmforge.fpga.sim.protocol import Record, Status
from nmforge.io.subprocesses import run_program

SUM_BYTES = 4


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


def run_simulator(program: Path, stimulus: bytes, watched: Path | None = None) -> bytes:
    """What a simulator writes for a stimulus; raises NmforgeError where it does not end as it should.

    watched: file for what its build watches.
    """
    with tempfile.TemporaryDirectory(prefix="nmforge-sim-") as folder:
        source, result = Path(folder) / "stimulus.bin", Path(folder) / "result.bin"
        source.write_bytes(stimulus)
        command = [program.resolve(), source, result, *([watched] if watched else [])]
        run_program(command, f"the simulation {program}", "delete it and run again")
        return result.read_bytes()


def finished_outcome(record: Record, data: bytes, offset: int = 0) -> dict[str, int]:
    """The outcome at `offset`; raises NmforgeError where the job was not done."""
    outcome = record.unpack(data, offset)
    status, taken = outcome["status"], outcome["taken"]
    if status == Status.INDEX_ERROR:
        sent = (len(data) - offset - record.size) // SUM_BYTES
        raise NmforgeError(
            f"the loader rejected the weight stream within its first {taken} beats, {sent} sums sent: its indices do "
            "not ascend; make the weight image again from the artifact"
        )
    if status == Status.NO_PROGRESS:
        raise NmforgeError(f"the simulation stood still after {taken} beats; the image does not fit the engine")
    if status == Status.BROKEN_OFFER:
        raise NmforgeError("the engine took back what it had offered before it was taken; its RTL breaks AXI")
    return outcome


def read_sums(data: bytes, offset: int, count: int = -1) -> NDArray[np.int32]:
    """Sums in the order of arrival, int32[count]; all that are left where no count is given."""
    return np.frombuffer(data, "<i4", count, offset).astype(np.int32)
