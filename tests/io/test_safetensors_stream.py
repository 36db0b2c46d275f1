"""Files written tensor by tensor, byte for byte those of the safetensors library."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from safetensors import TensorSpec, serialize_file

from nmforge.core.errors import NmforgeError
from nmforge.io.safetensors_stream import DType, LazyTensor, read_tensors, write_tensors


def tensors() -> dict[str, tuple[DType, tuple[int, ...], bytes]]:
    """Every type twice, names in no order, one of them with quotes and letters beyond ASCII, and an empty tensor."""
    rng = np.random.default_rng(0)
    found = {}
    for place, dtype in enumerate(DType):
        for name, shape in ((f"z{place}", (3, 5)), (f'a"{place}é', (7,)), (f"none{place}", (0, 4))):
            found[name] = (dtype, shape, rng.bytes(dtype.nbytes * int(np.prod(shape))))
    return found


def lazily(given: dict[str, tuple[DType, tuple[int, ...], bytes]]) -> dict[str, LazyTensor]:
    return {name: LazyTensor(kind, shape, lambda d=data: d) for name, (kind, shape, data) in given.items()}


def test_the_bytes_are_the_librarys_and_come_back(tmp_path: Path) -> None:
    given = tensors()
    buffers = {name: np.frombuffer(data or b"\0", dtype=np.uint8) for name, (_, _, data) in given.items()}
    specs = {
        name: TensorSpec(dtype=kind.array_name, shape=shape, data_ptr=buffers[name].ctypes.data, data_len=len(data))
        for name, (kind, shape, data) in given.items()
    }
    metadata = {"nmforge": '{"a": "\\n\\u00e9 é"}\t'}
    serialize_file(specs, str(tmp_path / "library"), metadata)
    write_tensors(tmp_path / "ours", lazily(given), metadata)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "library").read_bytes()
    back, found = read_tensors(tmp_path / "ours")
    assert found == metadata
    assert {name: (t.dtype, t.shape, t.read()) for name, t in back.items()} == {
        name: (kind, shape, data) for name, (kind, shape, data) in given.items()
    }


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    def full() -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(NmforgeError, match=r"x\.safetensors cannot be written, the disk is full; free space there"):
        write_tensors(tmp_path / "x.safetensors", {"a": LazyTensor(DType.U8, (1,), full)}, {})
    assert list(tmp_path.iterdir()) == []


def test_types_have_the_widths_and_names_of_numpy() -> None:
    known = [dtype for dtype in DType if dtype is not DType.BF16]  # which NumPy lacks
    assert [dtype.nbytes for dtype in known] == [np.dtype(dtype.array_name).itemsize for dtype in known]
    assert DType.BF16.nbytes == 2
    assert all(DType.from_array_name(dtype.array_name) is dtype for dtype in DType)
    with pytest.raises(NmforgeError, match=r"^type complex64 is unknown to safetensors files; convert the array"):
        DType.from_array_name("complex64")


def test_an_unknown_type_is_one_sentence(tmp_path: Path) -> None:
    write_tensors(tmp_path / "x", {"w": LazyTensor(DType.U8, (4,), lambda: b"abcd")}, {})
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes().replace(b'"U8"', b'"F8"'))
    with pytest.raises(NmforgeError, match=r"x: tensor w has type F8; convert it to BOOL, U8, I8, .*, U64$"):
        read_tensors(tmp_path / "x")
