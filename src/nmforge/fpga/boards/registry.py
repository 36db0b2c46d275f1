"""The registry of boards: an entry is a YAML file in catalogue/, or what another package adds."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from nmforge.core.registry import Registry
from nmforge.fpga.boards.boards import Board, read_board


class BoardRegistry(Registry[Board]):
    """Boards by name."""

    def __init__(self) -> None:
        """Read no file yet."""
        super().__init__("board")

    def _discover(self) -> None:
        """Read every file of the catalogue."""
        for folder in import_module(self.home).__path__:
            for path in sorted(Path(folder, "catalogue").glob("*.yaml")):
                self.add(read_board(path), path)


REGISTRY = BoardRegistry()
