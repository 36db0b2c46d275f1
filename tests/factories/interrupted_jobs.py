"""Jobs that a device does not finish, and the one that follows: what it leaves must not change the next one's sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmforge.core.errors import NmforgeError
from nmforge.fpga.sim.device import NO_STALLS, DeviceJob, DeviceStalls, Stop
from nmforge.fpga.sim.protocol import DEVICE_OUTCOME, UNTIL_REJECTED, Status
from nmforge.fpga.sim.simulator import SimulationResult, run_simulator

WHEN_REJECTED = Stop(UNTIL_REJECTED)


@dataclass(frozen=True)
class InterruptedJob:
    """A job abandoned after `stop.words` words of its weight stream or `stop.sums` sums, or when it is rejected."""

    job: DeviceJob
    stop: Stop = WHEN_REJECTED

    @property
    def expected_status(self) -> Status:
        """How it has to end."""
        return Status.INDEX_ERROR if self.stop.words == UNTIL_REJECTED else Status.DONE


def simulate_after(
    interrupted: Sequence[InterruptedJob], job: DeviceJob, program: Path, stalls: DeviceStalls = NO_STALLS,
    seed: int = 0,
) -> SimulationResult:  # fmt: skip
    """Run a job on a device that did not finish those before it; returns its result.

    Raises NmforgeError where a job that was to be rejected was not, one to be abandoned was rejected, or the last was
    not done.
    """
    before = [one.job.stimulus(stalls, seed, one.stop) for one in interrupted]
    data = run_simulator(program, b"".join([*before, job.stimulus(stalls, seed)]))
    for number, one in enumerate(interrupted):
        found = DEVICE_OUTCOME.unpack(data, number * DEVICE_OUTCOME.size)["status"]
        if found != one.expected_status:
            raise NmforgeError(f"job {number} before the last ended with status {found}, not {one.expected_status}")
    return job.result(data, len(interrupted) * DEVICE_OUTCOME.size)
