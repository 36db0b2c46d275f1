"""safetensors files written and read one tensor at a time, so a file may be larger than memory.

8 bytes   length L of the header, little-endian
L bytes   JSON: name -> {dtype, shape, data_offsets}, filled up with spaces to a multiple of 8
the rest  data: later members of DType first, then by name, as the safetensors library orders them
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from nmforge.core.errors import NmforgeError
from nmforge.io.files import write_atomically

FAMILIES = {"U": "uint", "I": "int", "F": "float", "BF": "bfloat"}  # of NumPy's and torch's names


class DType(StrEnum):
    """The type of a tensor, named as in the header of a safetensors file, in the library's order of types."""

    BOOL = "BOOL"
    U8 = "U8"
    I8 = "I8"
    I16 = "I16"
    U16 = "U16"
    F16 = "F16"
    BF16 = "BF16"
    I32 = "I32"
    U32 = "U32"
    F32 = "F32"
    F64 = "F64"
    I64 = "I64"
    U64 = "U64"

    @property
    def nbytes(self) -> int:
        """Bytes of one number."""
        return 1 if self is DType.BOOL else int(self.lstrip("BUIF")) // 8

    @property
    def array_name(self) -> str:
        """What NumPy and torch call it, such as `bfloat16`."""
        bits = self.lstrip("BUIF")
        return "bool" if self is DType.BOOL else FAMILIES[self.removesuffix(bits)] + bits

    @classmethod
    def from_array_name(cls, name: str) -> DType:
        """The type that NumPy or torch calls `name`; raises NmforgeError where a file has no such type."""
        for dtype in cls:
            if dtype.array_name == name:
                return dtype
        raise NmforgeError(f"type {name} is unknown to safetensors files; convert the array to float32 or an integer")


ORDER = {dtype: place for place, dtype in enumerate(DType)}


@dataclass(frozen=True)
class LazyTensor:
    """A tensor whose bytes, row-major, are read when they are wanted."""

    dtype: DType
    shape: tuple[int, ...]
    read: Callable[[], bytes]

    @property
    def nbytes(self) -> int:
        """Bytes of the data."""
        return self.dtype.nbytes * math.prod(self.shape)


def write_tensors(path: Path, tensors: Mapping[str, LazyTensor], metadata: Mapping[str, str]) -> None:
    """Write a whole file, or nothing, with at most one tensor in memory; the bytes are the safetensors library's."""
    ordered = sorted(tensors, key=lambda name: (-ORDER[tensors[name].dtype], name))
    write_atomically(path, lambda temporary: _write(temporary, {name: tensors[name] for name in ordered}, metadata))


def _write(path: Path, tensors: Mapping[str, LazyTensor], metadata: Mapping[str, str]) -> None:
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as handle:
        handle.write(len(text).to_bytes(8, "little") + text)
        for name, tensor in tensors.items():
            _write_one(handle, name, tensor)


def _write_one(handle: BinaryIO, name: str, tensor: LazyTensor) -> None:
    data = tensor.read()
    if len(data) != tensor.nbytes:
        raise ValueError(f"tensor {name} has {len(data)} bytes where its shape needs {tensor.nbytes}")
    handle.write(data)


def read_tensors(path: Path) -> tuple[dict[str, LazyTensor], dict[str, str]]:
    """(tensors by name, metadata) of a safetensors file that is known to be whole; no data is read yet.

    Raises NmforgeError naming a tensor whose type is not a member of DType.
    """
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        header = json.loads(handle.read(length))
    metadata = header.pop("__metadata__", {})
    return {name: _lazy(path, name, 8 + length, entry) for name, entry in header.items()}, metadata


def _lazy(path: Path, name: str, start: int, entry: Mapping[str, Any]) -> LazyTensor:
    if entry["dtype"] not in ORDER:
        raise NmforgeError(f"{path}: tensor {name} has type {entry['dtype']}; convert it to {', '.join(DType)}")
    begin, end = entry["data_offsets"]

    def read() -> bytes:
        with path.open("rb") as handle:
            handle.seek(start + begin)
            return handle.read(end - begin)

    return LazyTensor(DType(entry["dtype"]), tuple(entry["shape"]), read)
