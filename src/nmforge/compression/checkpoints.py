"""What a compression needs to continue after its last finished block: a folder next to the artifact, removed last.

run.json              the settings the blocks depend on
block-000.safetensors the finished block's layers as the artifact stores them; their headers and hashes as metadata
hidden-001.f32        activations that enter block 1; written before block 0 counts as finished
dense-001.f32         those of the dense model, where it is walked
*.partial*            whatever was being written when the process died; removed when it is started again
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmforge.artifact.format import RawTensor
from nmforge.compression.calibration.activation_cache import is_saved
from nmforge.compression.calibration.statistics import Streams
from nmforge.core.errors import NmforgeError
from nmforge.io.files import write_atomically
from nmforge.io.hashing import sha256_bytes
from nmforge.io.safetensors_stream import LazyTensor, read_tensors, write_tensors

RUN = "run.json"
STREAMS = ("hidden", "dense")
DETAILS = "nmforge"  # metadata key of a block's file


def state_folder(out: Path) -> Path:
    """Where the state of the artifact `out` is kept."""
    return out.with_name(f".{out.name}.blocks")


def open_state(folder: Path, run: Mapping[str, Any]) -> int:
    """Make the folder, or check that it is this run's; returns how many blocks are finished.

    run: JSON values that the bytes of the artifact depend on. Raises NmforgeError where the folder is another run's.
    """
    for left in folder.glob("*.partial*"):
        left.unlink()
    settings, wanted = folder / RUN, json.loads(json.dumps(run))
    if not settings.exists():
        write_atomically(settings, lambda path: path.write_text(json.dumps(wanted, indent=1, sort_keys=True) + "\n"))
    found = json.loads(settings.read_text())
    other = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
    if other:
        raise NmforgeError(
            f"{folder} belongs to a run with other settings ({', '.join(other)}); remove it to start over"
        )
    done = 0
    while block_file(folder, done).exists():
        done += 1
    return done


def finish_block(
    folder: Path,
    index: int,
    tensors: Mapping[str, RawTensor],
    layers: Mapping[str, Mapping[str, Any]],
    after: Streams | None,
) -> None:
    """Keep a block's layers and the activations that leave it, None where no block follows that needs them."""
    if after is not None:
        for cache, path in zip(after.each(), hidden_files(folder, index + 1).values(), strict=False):
            cache.save(path)
    details = {"layers": layers, "sha256": {name: sha256_bytes(tensor.data) for name, tensor in tensors.items()}}
    write_tensors(
        block_file(folder, index), {name: tensor.lazy() for name, tensor in tensors.items()},
        {DETAILS: json.dumps(details, sort_keys=True)},
    )  # fmt: skip
    for path in hidden_files(folder, index).values():
        path.unlink(missing_ok=True)


def load_entering(folder: Path, index: int, streams: Streams) -> None:
    """Fill `streams` with the activations that enter block `index`, as `finish_block` of the one before kept them."""
    for cache, path in zip(streams.each(), hidden_files(folder, index).values(), strict=False):
        if not is_saved(path, cache.shape):
            raise NmforgeError(f"{path} is missing or truncated; remove {folder} to start over")
        cache.load(path)


def finished_tensors(
    folder: Path, blocks: int
) -> tuple[dict[str, Mapping[str, Any]], dict[str, tuple[LazyTensor, str]]]:
    """(header of each layer, tensors with their sha256) of all finished blocks; a tensor is checked when it is read."""
    layers: dict[str, Mapping[str, Any]] = {}
    found: dict[str, tuple[LazyTensor, str]] = {}
    for index in range(blocks):
        path = block_file(folder, index)
        tensors, metadata = read_tensors(path)
        details = json.loads(metadata[DETAILS])
        layers |= details["layers"]
        for name, digest in details["sha256"].items():
            found[name] = (_checked(tensors[name], digest, f"{path}: tensor {name}", folder), digest)
    return layers, found


def _checked(tensor: LazyTensor, digest: str, where: str, folder: Path) -> LazyTensor:
    def read() -> bytes:
        data = tensor.read()
        if sha256_bytes(data) != digest:
            raise NmforgeError(f"{where} is altered (sha256 differs); remove {folder} to start over")
        return data

    return LazyTensor(tensor.dtype, tensor.shape, read)


def block_file(folder: Path, index: int) -> Path:
    """A finished block's layers."""
    return folder / f"block-{index:03}.safetensors"


def hidden_files(folder: Path, index: int) -> dict[str, Path]:
    """The activations that enter a block, one file for each of STREAMS."""
    return {stream: folder / f"{stream}-{index:03}.f32" for stream in STREAMS}
