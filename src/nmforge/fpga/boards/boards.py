"""The boards of boards.yaml and the published designs beside them: every figure with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from nmforge.config import Section
from nmforge.core.errors import NmforgeError
from nmforge.fpga.sim.engine import Memory

BOARDS = Path(__file__).with_name("boards.yaml")


class Sourced(Section):
    """A figure above zero with the document it was taken from, or the reason for assuming it."""

    value: float = Field(gt=0)
    source: str = Field(min_length=1)
    url: str | None = None


class Share(Sourced):
    """A figure between 0 and 1."""

    value: float = Field(gt=0, le=1)


class Board(Section):
    """What a board offers; units as boards.yaml states them."""

    device: str
    target: Literal["ecp5", "xcup"]
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

    @property
    def bytes_per_s(self) -> float:
        """Bandwidth that long bursts reach."""
        return self.bandwidth.value * self.efficiency.value

    def channel(self, clock_mhz: float) -> Memory:
        """One channel of the memory as an engine with this clock sees it, in its cycles."""
        in_cycles = clock_mhz / 1000
        rate = self.bandwidth.value / self.channels.value / (clock_mhz * 1e6)
        times = (self.latency_ns, self.refresh_interval_ns, self.refresh_ns)
        return Memory(rate, *(round(time.value * in_cycles) for time in times))


class Published(Section):
    """A design somebody else measured and published: beside the model, which borrows clocks from some."""

    name: str
    board: str
    model: str
    tokens_per_s: Sourced


class BoardTable(Section):
    """All of boards.yaml."""

    share: Share
    boards: dict[str, Board] = Field(min_length=1)
    published: list[Published] = Field(default_factory=list)

    @model_validator(mode="after")
    def _published_boards_are_known(self) -> BoardTable:
        for point in self.published:
            if point.board not in self.boards:
                raise ValueError(f"published design {point.name} names the unknown board {point.board}")
        return self


def parse_boards(document: Any, name: str) -> BoardTable:
    """Validate a parsed table; raises NmforgeError with one sentence that names the key, the file and the remedy."""
    try:
        return BoardTable.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        if first["type"] == "extra_forbidden":
            raise NmforgeError(f"{name}: unknown key {key}; remove it or correct its spelling") from error
        raise NmforgeError(f"{name}: {key}: {first['msg']}; correct this value") from error


def load_boards(path: Path = BOARDS) -> BoardTable:
    """Read boards.yaml or a table of the same form; raises NmforgeError where it is missing or wrong."""
    if not path.exists():
        raise NmforgeError(f"board table {path} is missing; name a file of the form of fpga/boards.yaml")
    try:
        document = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise NmforgeError(f"board table {path} is not valid YAML ({error}); correct it") from error
    return parse_boards(document, path.name)
