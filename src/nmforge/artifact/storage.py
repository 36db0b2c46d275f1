"""Bytes on disk: the compressed linear layers under every index encoding, and the whole file as it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmforge.artifact.format import load_linears
from nmforge.artifact.header import read_header
from nmforge.artifact.packing.bits import pack_bits
from nmforge.artifact.packing.registry import REGISTRY as INDEX_ENCODINGS
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.design import pattern_label
from nmforge.io.records import write_point
from nmforge.io.safetensors_stream import read_tensors
from nmforge.models.llama import BLOCK_LINEARS

LINEAR_SUFFIXES = tuple(f".{name}.weight" for name in BLOCK_LINEARS)


def linear_sizes(path: Path) -> tuple[int, int]:
    """(bytes in the file, dense weights) of all linear layers, compressed or left in bf16."""
    layers, (tensors, _) = read_header(path)["layers"], read_tensors(path)
    if layers:
        sizes = [tensor.nbytes for name, tensor in tensors.items() if name.rsplit(".", 1)[0] in layers]
        return sum(sizes), sum(layer["n"] * layer["k"] for layer in layers.values())
    dense = [tensor for name, tensor in tensors.items() if name.endswith(LINEAR_SUFFIXES)]
    return sum(tensor.nbytes for tensor in dense), sum(math.prod(tensor.shape) for tensor in dense)


def linear_bits_per_weight(path: Path) -> float:
    """Bits per dense weight of the linear layers: codes, indices, scales and padding."""
    size, weights = linear_sizes(path)
    return 8 * size / weights


def part_bytes(path: Path, part: str) -> int:
    """Bytes that one part of the compressed layers (format.LAYER_PARTS) takes in the file."""
    tensors, _ = read_tensors(path)
    return sum(tensor.nbytes for name, tensor in tensors.items() if name.endswith(f".{part}"))


def packed_index_bytes(linears: Mapping[str, CompressedLinear], encoding: str) -> int:
    """Bytes the layers' masks take once packed in that encoding; everything else in the file stays as it is."""
    pack = INDEX_ENCODINGS.get(encoding).pack
    return sum(pack(linear.keep_mask, linear.pattern).nbytes for linear in linears.values())


def dense_code_bytes(linears: Mapping[str, CompressedLinear]) -> int:
    """Bytes of the layers' codes with every pruned weight stored as a zero, as dense hardware reads them."""
    return sum(pack_bits(linear.codes, linear.bits).nbytes for linear in linears.values())


def storage_rows(path: Path, model_name: str) -> list[dict[str, Any]]:
    """Rows of the storage table for one artifact; encoding `none` stores zeros in place and no index."""
    header = read_header(path)
    own_size, weights = linear_sizes(path)
    common = {
        "model": model_name,
        "pattern": pattern_label(header["design"]),
        **{key: header["design"][key] for key in ("bits", "group_size")},
    }
    common["design_id"] = header["design"]["id"]
    indices = part_bytes(path, "indices")
    encoding = header["index_encoding"] if indices else "none"
    sizes = {encoding: own_size}
    if indices:
        linears, rest = load_linears(path), own_size - indices
        others = [name for name in INDEX_ENCODINGS.names() if name != encoding]
        sizes |= {name: rest + packed_index_bytes(linears, name) for name in others}
        sizes["none"] = rest - part_bytes(path, "codes") + dense_code_bytes(linears)
    rows = [_row("linear", name, size, weights, 2 * weights) for name, size in sizes.items()]
    fp16 = path.stat().st_size - own_size + 2 * weights
    rows.append(_row("model", encoding, path.stat().st_size, fp16 // 2, fp16))
    return [common | row for row in rows]


def _row(scope: str, encoding: str, size: int, weights: int, fp16_bytes: int) -> dict[str, Any]:
    return {
        "scope": scope,
        "encoding": encoding,
        "bytes": size,
        "bits_per_weight": 8 * size / weights,
        "ratio_to_fp16": fp16_bytes / size,
    }


def measure_storage(path: Path, model_name: str, out: Path) -> None:
    """Write the storage point of one artifact."""
    write_point(out, "storage", storage_rows(path, model_name))
