"""What a board is: a file of the catalogue, every figure with its source.

Units: bandwidth in bytes/s (peak), capacity in bytes (a GB of memory chips is 2^30), clock in MHz, RAM in bits (block
RAM and UltraRAM; LUT RAM is not counted), latency and refresh in ns.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from nmforge.core.errors import NmforgeError
from nmforge.fpga.model.memory import MemoryChannel
from nmforge.io.settings import RegisteredName, Section, read_yaml, validated


class Sourced(Section):
    """A figure above zero with the document it was taken from, or the reason for assuming it."""

    value: float = Field(gt=0)
    source: str = Field(min_length=1)
    url: str | None = None


class Share(Sourced):
    """A figure between 0 and 1."""

    value: float = Field(gt=0, le=1)


class Published(Section):
    """A design that somebody else ran on the board: shown next to the model."""

    name: str
    model: str
    tokens_per_s: Sourced


class Board(Section):
    """A board of the catalogue. The model uses `efficiency`, the share of the peak bandwidth that a design reached.

    In simulation an engine reads one of `channels` at its peak rate, which answers a burst after `latency_ns` and stops
    for `refresh_ns` of every `refresh_interval_ns`. Without `clock_mhz` the clock is that of the routed device.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    summary: str = Field(min_length=1)
    order: int = Field(100, description="Place in tables and figures.")
    part: str = Field(description="Name of the FPGA.")
    target: Annotated[str, RegisteredName("fpga_family")]
    luts: Sourced
    ffs: Sourced
    dsps: Sourced
    ram_bits: Sourced
    memory: str
    bandwidth: Sourced
    capacity: Sourced
    efficiency: Share
    channels: Sourced
    latency_ns: Sourced
    refresh_interval_ns: Sourced
    refresh_ns: Sourced
    clock_mhz: Sourced | None = None
    note: str = ""
    published: list[Published] = Field([], description="Designs that others ran on it.")

    @property
    def bytes_per_s(self) -> float:
        """Bandwidth that long bursts reach."""
        return self.bandwidth.value * self.efficiency.value

    def channel(self, clock_mhz: float | None = None) -> MemoryChannel:
        """One channel of the memory as an engine with this clock sees it, in its cycles; by default the board's clock.

        Raises NmforgeError for a board without a clock where none is given.
        """
        clock = clock_mhz or (self.clock_mhz.value if self.clock_mhz else None)
        if clock is None:
            raise NmforgeError(f"board {self.name} has no clock of its own; name that of the engine with --clock")
        rate = self.bandwidth.value / self.channels.value / (clock * 1e6)
        times = (self.latency_ns, self.refresh_interval_ns, self.refresh_ns)
        latency, interval, refresh = (round(time.value * (clock / 1000)) for time in times)
        return MemoryChannel(rate, latency, interval, refresh, self.name)


def read_board(path: Path) -> Board:
    """The board a YAML file describes; raises NmforgeError where the file is missing or wrong."""
    document = read_yaml(path, "board", "name a file of the form of those in fpga/boards/catalogue")
    return validated(Board, document, path.name)
