"""The external memory that an engine streams its weights from, as one simulation sees it."""

from __future__ import annotations

from typing import NamedTuple


class MemoryChannel(NamedTuple):
    """One channel of memory, in cycles of the engine.

    bytes_per_cycle: its rate, 0 for no limit. latency: cycles from a request to its burst. Refresh stops the memory
    for `refresh_cycles` of every `refresh_interval`. board: the board it belongs to, for the table.
    """

    bytes_per_cycle: float = 0
    latency: int = 0
    refresh_interval: int = 0
    refresh_cycles: int = 0
    board: str | None = None

    @property
    def is_limited(self) -> bool:
        """Whether weights can be late."""
        return self != MemoryChannel()

    @property
    def sustained(self) -> float:
        """Bytes a cycle, averaged over a refresh interval."""
        lost = self.refresh_cycles / self.refresh_interval if self.refresh_interval else 0
        return self.bytes_per_cycle * (1 - lost)


UNLIMITED = MemoryChannel()
# A DDR4 channel with a slow controller, as an engine of 150 MHz sees it: 60 cycles (400 ns) from request to burst,
# refreshed for 350 ns of every 7.8 us.
DDR4_LATENCY, DDR4_REFRESH_INTERVAL, DDR4_REFRESH_CYCLES = 60, 1170, 53


def ddr4_channel(bytes_per_cycle: float) -> MemoryChannel:
    """A DDR4 channel of this rate."""
    return MemoryChannel(bytes_per_cycle, DDR4_LATENCY, DDR4_REFRESH_INTERVAL, DDR4_REFRESH_CYCLES)
