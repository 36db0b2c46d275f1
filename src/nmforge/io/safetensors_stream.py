"""safetensors files written and read one tensor at a time, so a file may be larger than memory.

8 bytes   length L of the header, little-endian
L bytes   JSON: name -> {dtype, shape, data_offsets}, filled up with spaces to a multiple of 8
the rest  data: later types of DTYPES first, then by name, as the safetensors library orders them
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nmforge.io.files import write_atomically

# NumPy's and torch's names -> (name in the file, bytes), in the library's order of types.
DTYPES = {
    "bool": ("BOOL", 1), "uint8": ("U8", 1), "int8": ("I8", 1), "int16": ("I16", 2), "uint16": ("U16", 2),
    "float16": ("F16", 2), "bfloat16": ("BF16", 2), "int32": ("I32", 4), "uint32": ("U32", 4), "float32": ("F32", 4),
    "float64": ("F64", 8), "int64": ("I64", 8), "uint64": ("U64", 8),
}  # fmt: skip
SPELLINGS = {name: name for name, _ in DTYPES.values()} | {alias: name for alias, (name, _) in DTYPES.items()}
ORDER = {name: place for place, (name, _) in enumerate(DTYPES.values())}
WIDTHS = dict(DTYPES.values())


@dataclass(frozen=True)
class LazyTensor:
    """A tensor whose bytes, row-major, are read when they are wanted. dtype: as the file spells it, such as `BF16`."""

    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], bytes]

    @property
    def nbytes(self) -> int:
        """Bytes of the data."""
        return WIDTHS[self.dtype] * math.prod(self.shape)


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
    """(tensors by name, metadata) of a safetensors file that is known to be whole; no data is read yet."""
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        header = json.loads(handle.read(length))
    metadata = header.pop("__metadata__", {})
    return {name: _lazy(path, 8 + length, entry) for name, entry in header.items()}, metadata


def _lazy(path: Path, start: int, entry: Mapping[str, Any]) -> LazyTensor:
    begin, end = entry["data_offsets"]

    def read() -> bytes:
        with path.open("rb") as handle:
            handle.seek(start + begin)
            return handle.read(end - begin)

    return LazyTensor(entry["dtype"], tuple(entry["shape"]), read)
