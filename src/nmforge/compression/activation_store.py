"""Where the activations of a walk over blocks are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from nmforge.compression.calibration.activation_cache import ActivationCache, SpilledActivationCache
from nmforge.compression.calibration.statistics import Streams
from nmforge.compression.checkpoints import STREAMS


@dataclass(frozen=True)
class ActivationStore:
    """Allocates caches in memory, or in files of a folder.

    count, length: sequences and tokens of each. device: where activations are computed. walk_dense: there is a second
    stream, the dense model's.
    """

    count: int
    length: int
    device: torch.device
    folder: Path
    in_memory: bool
    walk_dense: bool = False

    def allocate(self, width: int, file: Path) -> ActivationCache:
        """A cache of sequences [1, length, width]; `file` is used unless it is in memory."""
        shape = (self.count, self.length, width)
        if self.in_memory:
            return ActivationCache(shape, self.device)
        return SpilledActivationCache(shape, self.device, file)

    def streams(self, width: int, files: Mapping[str, Path]) -> Streams:
        """Caches for the streams; `files` names one for each of STREAMS."""
        compressed, dense = STREAMS
        return Streams(
            self.allocate(width, files[compressed]), self.allocate(width, files[dense]) if self.walk_dense else None
        )

    def unfinished(self, width: int, name: str) -> Streams:
        """Caches that do not outlive this process."""
        return self.streams(width, {stream: self.folder / f"{stream}-{name}.partial" for stream in STREAMS})
