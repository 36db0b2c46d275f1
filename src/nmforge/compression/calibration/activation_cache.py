"""A cache of the calibration sequences' activations: in memory, or in a file where they would not fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from nmforge.io.files import write_atomically, writing

Shape = tuple[int, int, int]  # sequences, tokens of each, width


class ActivationCache:
    """Activations float32[1, T, width] of each sequence, read and written one at a time, in memory."""

    def __init__(self, shape: Shape, device: torch.device) -> None:
        """device: where activations go when they are read; they are kept on the CPU."""
        self.shape, self.device = shape, device
        self._data = self._allocate(shape[0])

    def _allocate(self, count: int) -> Tensor:
        return torch.empty(count, *self.shape[1:], device="cpu")

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Tensor:
        return self._data[index : index + 1].to(self.device)

    def __setitem__(self, index: int, sequence: Tensor) -> None:
        self._data[index] = sequence[0]

    def save(self, path: Path) -> None:
        """Put all activations into a file, whole or not at all: one sequence after another, float32."""
        write_atomically(path, lambda temporary: temporary.write_bytes(_bytes(self._data)))

    def load(self, path: Path) -> None:
        """Take the activations of a file that `save` left; see `is_saved`."""
        with path.open("rb") as handle:
            handle.readinto(_bytes(self._data))


class SpilledActivationCache(ActivationCache):
    """The same in a file. It is read and written, not mapped: what is not in use takes no memory of this process."""

    def __init__(self, shape: Shape, device: torch.device, path: Path) -> None:
        """path: made where it is missing."""
        super().__init__(shape, device)
        self.path = path
        with writing(path):
            path.touch()

    def _allocate(self, _count: int) -> Tensor:
        return super()._allocate(1)

    def _offset(self, index: int) -> int:
        return index * self._data.nbytes

    def __getitem__(self, index: int) -> Tensor:
        sequence = super()._allocate(1)
        with self.path.open("rb") as handle:
            handle.seek(self._offset(index))
            handle.readinto(_bytes(sequence))
        return sequence.to(self.device)

    def __setitem__(self, index: int, sequence: Tensor) -> None:
        with writing(self.path), self.path.open("r+b") as handle:
            handle.seek(self._offset(index))
            handle.write(_bytes(sequence.to("cpu", torch.float32).contiguous()))

    def save(self, path: Path) -> None:
        """Rename the file."""
        self.path = self.path.rename(path)

    def load(self, path: Path) -> None:
        """Use that file from now on."""
        self.path = path


def _bytes(tensor: Tensor) -> memoryview:
    view: memoryview = tensor.numpy().data
    return view.cast("B")


def is_saved(path: Path, shape: Shape) -> bool:
    """Whether a file holds activations of that shape, as far as its size tells."""
    count, length, width = shape
    return path.exists() and path.stat().st_size == 4 * count * length * width
