"""Damaged artifacts: a small valid one, changed at random, read and run. Only NmforgeError may come out.

    PYTHONPATH=tests python -m artifact.fuzz.artifact_fuzz FIRST COUNT      seeds FIRST .. FIRST + COUNT - 1

Prints every seed before its turn, so that the last line names the one that crashed or hung, and a summary at the
end. Header and tensor hashes of most changed files are made right again, so that later checks are reached.
"""

from __future__ import annotations

import faulthandler
import json
import math
import os
import random
import re
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from factories.toy_artifacts import Format, random_model

from nmforge.artifact.format import load_linears, verify
from nmforge.artifact.header import METADATA_KEY, read_header
from nmforge.core import reference
from nmforge.core.errors import NmforgeError
from nmforge.io.hashing import hash_json, sha256_bytes
from nmforge.kernels.cpu import CpuLinear, available_isas
from nmforge.runtime.native import load_native

LIMIT = 30  # seconds one damaged file may take
BASES = [
    Format("2:6", 4, 24, "offset"),
    Format("2:4", 4, 16, "enumerative"),
    Format("1:4", 2, 0, "bitmask"),
    Format("1:1", 3, 8, "offset"),
    None,
]
VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 2, 3, 7, 16, 33, 96, 2**31 - 1, 2**31, 2**63, 2**64, 10**400, 0.5, -0.0, 1e-45, 1e39,
    math.inf, math.nan, "", "2:4", "0:4", "5:4", "1:32", "31:33", "dense", "1:99999999999", "bitmask", "enumerative",
    "offset", "x" * 300, "\ud800", [], {}, [[]], {"": None}, [1, 2],
]  # fmt: skip
DTYPES = ["U8", "I8", "BOOL", "F32", "BF16", "F16", "I64", "F64", "F8_E4M3", "U16", "C64", "X9"]
ITEM_BYTES = {"F32": 4, "BF16": 2, "F16": 2, "I64": 8, "F64": 8, "U16": 2, "C64": 8}
MOST_BYTES = 1 << 20  # of a tensor that is made to fit its shape
# Said by a layer or a decoder in memory, which knows no file.
WITHOUT_FILE = (
    "a CPU kernel cannot take this layer",
    "a layer for the CPU kernel",
    "the native decoder stopped",
    "3 tokens exceed the context of",  # the three that `use` asks for
)


@dataclass
class Parts:
    """An artifact taken apart: its nmforge header and the tensors as safetensors has them."""

    header: Any
    tensors: dict[str, tuple[str, list[int], bytes]]


def take_apart(data: bytes) -> Parts:
    length = int.from_bytes(data[:8], "little")
    entries, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    header = json.loads(entries.pop("__metadata__")[METADATA_KEY])
    tensors = {
        name: (entry["dtype"], entry["shape"], body[slice(*entry["data_offsets"])]) for name, entry in entries.items()
    }
    return Parts(header, tensors)


def put_together(parts: Parts, mend: bool) -> bytes:
    """The file of these parts; `mend` makes its hashes right."""
    if mend and isinstance(parts.header, dict):
        parts.header.pop("header_sha256", None)
        digests = parts.header.get("tensors")
        for name in digests if isinstance(digests, dict) else ():
            if name in parts.tensors:
                digests[name] = sha256_bytes(parts.tensors[name][2])
        parts.header["header_sha256"] = hash_json(parts.header)
    entries: dict[str, Any] = {"__metadata__": {METADATA_KEY: json.dumps(parts.header)}}
    at = 0
    for name, (dtype, shape, data) in parts.tensors.items():
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(data for _, _, data in parts.tensors.values())


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below a JSON value."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


def change_header(parts: Parts, rng: random.Random) -> None:
    """Replace, shift, swap or delete one value, wherever it lies."""
    found = places(parts.header)
    if not found or rng.random() < 0.01:
        parts.header = rng.choice(VALUES)
        return
    (box, key), (other, place) = rng.choice(found), rng.choice(found)
    act = rng.randrange(4)
    if act == 0 and type(box[key]) is int:
        box[key] = rng.choice([box[key] - 1, box[key] + 1, 2 * box[key], box[key] // 2, -box[key]])
    elif act == 1:
        box[key], other[place] = json.loads(json.dumps(other[place])), json.loads(json.dumps(box[key]))
    elif act == 2 and isinstance(box, dict):
        del box[key]
    else:
        box[key] = rng.choice(VALUES)


def change_tensor(parts: Parts, rng: random.Random) -> None:
    """Alter the bytes, type, shape or name of one tensor."""
    if not parts.tensors:
        return
    name = rng.choice(list(parts.tensors))
    dtype, shape, data = parts.tensors[name]
    act = rng.randrange(6)
    if act <= 1:
        noise = bytearray(data)
        for _ in range(rng.choice([1, 3, len(data)]) if data else 0):
            noise[rng.randrange(len(noise))] = rng.choice([0, 127, 128, 255, rng.randrange(256)])
        data = bytes(noise)
    elif act == 2:
        size = math.prod(shape)
        shape = rng.choice([shape[::-1], [size], [1, size], [size, 1], [], [0], [0, 2**40], [*shape, 1], shape[:-1]])
    elif act == 3:
        dtype = rng.choice(DTYPES)
    elif act == 4:
        del parts.tensors[name]
        name = rng.choice([name + "x", name.upper(), rng.choice(list(parts.tensors) or ["y"])])
    else:
        shape = [rng.choice([0, 1, 2, s, s + 1, s // 2]) for s in shape]
    size = math.prod(shape) * ITEM_BYTES.get(dtype, 1)
    if size <= MOST_BYTES and rng.random() < 0.9:  # else safetensors itself refuses the file
        data = (data + bytes(size))[:size]
    parts.tensors[name] = (dtype, shape, data)


def change_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, repeat or overwrite bytes of the file; half of the time near its start."""
    at = rng.randrange(len(data) if rng.random() < 0.5 else min(64, len(data)))
    act = rng.randrange(4)
    if act == 0:
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    if act == 1:
        return data[:at]
    if act == 2:
        return data[:at] + data[at : at + rng.randrange(1, 40)] + data[at:]
    return data[:at] + rng.randbytes(rng.randrange(1, 9)) + data[at + rng.randrange(9) :]


def damage(data: bytes, rng: random.Random) -> bytes:
    """One to three changes; hashes mended four times in five."""
    parts = take_apart(data)
    kind = rng.random()
    if kind < 0.15:
        return change_bytes(data, rng)
    for _ in range(rng.randint(1, 3)):
        (change_header if rng.random() < 0.5 else change_tensor)(parts, rng)
    whole = put_together(parts, rng.random() < 0.8)
    return change_bytes(whole, rng) if kind > 0.97 else whole


def use(path: Path, rng: random.Random) -> None:
    """Everything a host does with a file; what survives must still equal the reference."""
    isa = rng.choice(available_isas())
    read_header(path)
    verify(path)
    for linear in load_linears(path).values():
        xq = np.random.default_rng(0).integers(-127, 128, (rng.choice([1, 2]), linear.k), dtype=np.int8)
        assert (CpuLinear(linear, isa).accumulate(xq) == reference.accumulate(linear, xq)).all()
    load_native(path, context=32, isa=isa).forward([1, 2, 3], threads=1)


def one(seed: int, bases: list[bytes], path: Path) -> str:
    """`unharmed`, or the first words of the sentence that refused the file; another exception passes on."""
    rng = random.Random(seed)
    path.write_bytes(damage(rng.choice(bases), rng))
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    try:
        use(path, rng)
    except NmforgeError as error:
        sentence = str(error)
        named = str(path) in sentence or sentence.startswith(WITHOUT_FILE)
        assert named and "; " in sentence and "\n" not in sentence, sentence
        plain = re.sub(r"'.*?'|model[.\w]*|-?\d+", "#", sentence.replace(str(path), "FILE"))
        return " ".join(plain.split()[:9])
    finally:
        faulthandler.cancel_dump_traceback_later()
    return "unharmed"


def main(first: int, count: int) -> None:
    faulthandler.enable()
    np.seterr(all="ignore")  # damaged scales may well overflow
    ends: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.nmf.safetensors"
        bases = []
        for kind in BASES:
            random_model(path, kind)
            use(path, random.Random(0))
            bases.append(path.read_bytes())
        for seed in range(first, first + count):
            os.write(1, f"{seed}\n".encode())
            ends[one(seed, bases, path)] += 1
    print(json.dumps(dict(ends.most_common())))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
