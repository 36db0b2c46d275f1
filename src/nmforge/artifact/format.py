"""The packed artifact `*.nmf.safetensors`: what every backend reads.

A standard safetensors file. Its metadata entry `nmforge` is JSON: format version, model source with hash,
design point, index encoding, calibration, tool versions, layer shapes, the sha256 of every tensor, and the
sha256 of the header itself. Tensors:

    <layer>.codes       uint8[N, ceil(kept * bits / 8)]   kept codes, ascending k (packing.bits)
    <layer>.indices     uint8[N, row bytes]               the mask (packing.registry); absent for dense patterns
    <layer>.group_mult  uint8[N, K / G]
    <layer>.row_scale   float32[N]
    anything else       the rest of the model: embeddings, norms, head, tokenizer.json as bytes
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from nmforge.artifact.header import (
    FORMAT_VERSION,
    METADATA_KEY,
    LayerHeader,
    header_of,
    open_artifact,
    read_header,
)
from nmforge.artifact.packing.bits import pack_bits, packed_bytes, unpack_bits
from nmforge.artifact.packing.registry import REGISTRY as INDEX_ENCODINGS
from nmforge.core.compressed_linear import Bool, CompressedLinear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern, QuantScheme
from nmforge.io.hashing import hash_json, sha256_bytes
from nmforge.io.safetensors_stream import DType, LazyTensor, read_tensors, write_tensors

LAYER_PARTS = ("codes", "indices", "group_mult", "row_scale")

Array = NDArray[Any]


@dataclass(frozen=True)
class RawTensor:
    """Bytes of one tensor, row-major."""

    dtype: DType
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def from_array(cls, array: Array) -> RawTensor:
        """From a NumPy array."""
        return cls(DType.from_array_name(str(array.dtype)), tuple(array.shape), np.ascontiguousarray(array).tobytes())

    def lazy(self) -> LazyTensor:
        """The same for a writer that asks for bytes when it needs them."""
        return LazyTensor(self.dtype, self.shape, lambda: self.data)


def pack_linear(linear: CompressedLinear, encoding: str) -> dict[str, Array]:
    """The four canonical arrays of a layer (three for a dense pattern)."""
    parts: dict[str, Array] = {
        "codes": pack_bits(linear.kept_codes(), linear.bits),
        "group_mult": linear.group_mult,
        "row_scale": linear.row_scale,
    }
    if not linear.pattern.is_dense:
        parts["indices"] = INDEX_ENCODINGS.get(encoding).pack(linear.keep_mask, linear.pattern)
    return parts


def unpack_linear(parts: Mapping[str, Array], pattern: Pattern, bits: int, k: int, encoding: str) -> CompressedLinear:
    """Inverse of `pack_linear`; raises NmforgeError where the mask keeps another number of weights than the pattern."""
    n = parts["codes"].shape[0]
    kept = k // pattern.window * pattern.keep
    mask: Bool = np.ones((n, k), dtype=np.bool_)
    if not pattern.is_dense:
        mask = INDEX_ENCODINGS.get(encoding).unpack(parts["indices"], pattern, k)
    if np.count_nonzero(mask) != n * kept:
        raise NmforgeError(f"indices do not keep {pattern.keep} in every window; compress this layer again")
    codes = np.zeros((n, k), dtype=np.int8)
    codes[mask] = unpack_bits(parts["codes"], bits, kept, signed=True).ravel()
    group_size = k // parts["group_mult"].shape[1]
    return CompressedLinear(pattern, bits, group_size, codes, mask, parts["group_mult"], parts["row_scale"])


def write_artifact(
    path: Path,
    header: Mapping[str, Any],
    linears: Mapping[str, CompressedLinear],
    rest: Mapping[str, RawTensor],
    encoding: str,
) -> None:
    """Write a whole artifact, or nothing: header fields, compressed layers, and the rest of the model."""
    tensors = {name: (tensor.lazy(), sha256_bytes(tensor.data)) for name, tensor in rest.items()}
    for name, linear in linears.items():
        for part, tensor in layer_tensors(name, linear, encoding).items():
            tensors[part] = (tensor.lazy(), sha256_bytes(tensor.data))
    write_streamed(path, header, {name: layer_header(linear) for name, linear in linears.items()}, tensors, encoding)


def layer_tensors(name: str, linear: CompressedLinear, encoding: str) -> dict[str, RawTensor]:
    """The tensors of one layer as the artifact stores them; raises NmforgeError where the layer breaks a rule."""
    linear.check(name)
    return {f"{name}.{part}": RawTensor.from_array(array) for part, array in pack_linear(linear, encoding).items()}


def write_streamed(
    path: Path,
    header: Mapping[str, Any],
    layers: Mapping[str, Mapping[str, object]],
    tensors: Mapping[str, tuple[LazyTensor, str]],
    encoding: str,
) -> None:
    """`write_artifact` with one tensor in memory at a time.

    layers: `layer_header` of each compressed layer. tensors: all of the file's, each with the sha256 of its bytes.
    """
    full: dict[str, Any] = {
        **header,
        "format_version": FORMAT_VERSION,
        "index_encoding": encoding,
        "layers": dict(layers),
        "tensors": {name: digest for name, (_, digest) in sorted(tensors.items())},
    }
    full["header_sha256"] = hash_json(full)
    metadata = {METADATA_KEY: json.dumps(full, sort_keys=True)}
    write_tensors(path, {name: tensor for name, (tensor, _) in tensors.items()}, metadata)


def layer_header(linear: CompressedLinear) -> dict[str, Any]:
    """What the header says of one layer: the fields of `LayerHeader`."""
    fields = LayerHeader(
        pattern=str(linear.pattern), bits=linear.bits, group_size=linear.group_size, n=linear.n, k=linear.k
    )
    return dict(fields)


def verify(path: Path) -> None:
    """Check the hash of every tensor, whatever its type; raises NmforgeError naming the first altered one."""
    for _ in _tensors(path, read_header(path)["tensors"]):
        pass


def load_rest(path: Path) -> dict[str, RawTensor]:
    """Every tensor that belongs to no compressed layer, by name, its hash checked."""
    header = read_header(path)
    layers = {f"{layer}.{part}" for layer in header["layers"] for part in LAYER_PARTS}
    return dict(_tensors(path, {name: digest for name, digest in header["tensors"].items() if name not in layers}))


def _tensors(path: Path, digests: Mapping[str, str]) -> Iterator[tuple[str, RawTensor]]:
    """The tensors named, one by one, each with the hash it must have."""
    entries, _ = read_tensors(path)
    for name, digest in digests.items():
        if name not in entries:
            raise NmforgeError(f"artifact {path} lacks tensor {name}; compress it again")
        data = entries[name].read()
        _check_hash(f"artifact {path}: tensor {name}", data, digest)
        yield name, RawTensor(entries[name].dtype, entries[name].shape, data)


def _check_hash(where: str, data: bytes | memoryview, digest: str) -> None:
    if sha256_bytes(data) != digest:
        raise NmforgeError(f"{where} is altered (sha256 differs); compress it again")


def load_linear(path: Path, name: str) -> CompressedLinear:
    """One compressed layer, its tensors verified."""
    handle = open_artifact(path)
    header = header_of(handle, path)
    if name not in header["layers"]:
        raise NmforgeError(f"artifact {path} has no compressed layer {name}; nmforge inspect lists its layers")
    return _load(handle, header, path, name)


def load_linears(path: Path) -> dict[str, CompressedLinear]:
    """Every compressed layer by name, all their tensors verified; empty for a point left in bf16."""
    handle = open_artifact(path)
    header = header_of(handle, path)
    return {name: _load(handle, header, path, name) for name in header["layers"]}


def _load(handle: Any, header: Mapping[str, Any], path: Path, name: str) -> CompressedLinear:
    layer: LayerHeader = header["layers"][name]
    encoding: str = header["index_encoding"]
    try:
        pattern = Pattern.parse(layer["pattern"])
        parts = {
            part: _read_part(handle, header["tensors"], f"{name}.{part}", dtype, shape)
            for part, (dtype, shape) in _part_shapes(layer, pattern, encoding).items()
        }
        linear = unpack_linear(parts, pattern, layer["bits"], layer["k"], encoding)
        linear.check("the layer")
    except NmforgeError as error:
        raise NmforgeError(f"artifact {path}, {name}: {error}") from error
    return linear


def _part_shapes(layer: LayerHeader, pattern: Pattern, encoding: str) -> dict[str, tuple[DType, list[int]]]:
    """Type and shape, as safetensors spells them, of every tensor of a layer."""
    n, k, bits = layer["n"], layer["k"], layer["bits"]
    pattern.check_divides(k, "the layer")
    _, groups = QuantScheme(bits, layer["group_size"]).groups(k, "the layer")
    shapes = {
        "codes": (DType.U8, [n, packed_bytes(k // pattern.window * pattern.keep, bits)]),
        "group_mult": (DType.U8, [n, groups]),
        "row_scale": (DType.F32, [n]),
    }
    if not pattern.is_dense:
        shapes["indices"] = (DType.U8, [n, INDEX_ENCODINGS.get(encoding).row_bytes(k, pattern)])
    return shapes


def _read_part(handle: Any, digests: Mapping[str, str], tensor: str, dtype: DType, shape: list[int]) -> Array:
    """One tensor of a layer, its type and shape checked before it is read, its hash after."""
    try:
        digest, found = digests[tensor], handle.get_slice(tensor)
    except (KeyError, SafetensorError) as error:
        raise NmforgeError(f"tensor {tensor} is missing; compress it again") from error
    if (found.get_dtype(), found.get_shape()) != (dtype, shape):
        raise NmforgeError(
            f"tensor {tensor} is {found.get_dtype()} {found.get_shape()} where the header has {dtype} {shape}; "
            "compress it again"
        )
    array: Array = handle.get_tensor(tensor)
    _check_hash(f"tensor {tensor}", array.tobytes(), digest)
    return array
