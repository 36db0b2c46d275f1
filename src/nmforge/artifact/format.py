"""The packed artifact `*.nmf.safetensors`: what every backend reads.

A standard safetensors file. Its metadata entry `nmforge` is JSON: format version, model source with hash,
design point, index encoding, calibration, tool versions, layer shapes, the sha256 of every tensor, and the
sha256 of the header itself. Tensors:

    <layer>.codes       uint8[N, ceil(kept * bits / 8)]   kept codes, ascending k (packing.bits)
    <layer>.indices     uint8[N, row bytes]               the mask (packing.indices); absent for dense patterns
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
from safetensors import SafetensorError, safe_open

from nmforge.artifact.packing.bits import pack_bits, packed_bytes, unpack_bits
from nmforge.artifact.packing.indices import INDEX_ENCODINGS
from nmforge.core.compressed_linear import Bool, CompressedLinear, UInt8
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern, QuantScheme
from nmforge.io.hashing import hash_json, sha256_bytes
from nmforge.io.safetensors_stream import DType, LazyTensor, read_tensors, write_tensors

FORMAT_VERSION = 1
METADATA_KEY = "nmforge"
LAYER_PARTS = ("codes", "indices", "group_mult", "row_scale")
BY_NAME = ("layers", "tensors")  # objects of the header whose keys are names, not fields
LAYER_FIELDS = {"pattern": str, "bits": int, "group_size": int, "n": int, "k": int}
MAX_SIZE = 2**31 - 1


@dataclass(frozen=True)
class RawTensor:
    """Bytes of one tensor, row-major."""

    dtype: DType
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def from_array(cls, array: np.ndarray[Any, Any]) -> RawTensor:
        """From a NumPy array."""
        return cls(DType.from_array_name(str(array.dtype)), tuple(array.shape), np.ascontiguousarray(array).tobytes())

    def lazy(self) -> LazyTensor:
        """The same for a writer that asks for bytes when it needs them."""
        return LazyTensor(self.dtype, self.shape, lambda: self.data)


class Fields(dict[str, Any]):
    """A JSON object of a header whose readers get a sentence instead of a KeyError where a field is missing."""

    def __init__(self, path: Path, name: str, fields: Mapping[str, Any]) -> None:
        """path: the artifact. name: where in its header these fields stand, "" for the header itself."""
        self.path, self.prefix = path, f"{name}." if name else ""
        inner = {
            key: Fields(path, self.prefix + key, value) if isinstance(value, dict) and key not in BY_NAME else value
            for key, value in fields.items()
        }
        super().__init__(inner)

    def __missing__(self, key: str) -> Any:
        raise NmforgeError(f"artifact {self.path}: header field {self.prefix}{key} is missing; compress it again")


def pack_linear(linear: CompressedLinear, encoding: str) -> dict[str, UInt8 | np.ndarray[Any, Any]]:
    """The four canonical arrays of a layer (three for a dense pattern)."""
    parts: dict[str, np.ndarray[Any, Any]] = {
        "codes": pack_bits(linear.kept_codes(), linear.bits),
        "group_mult": linear.group_mult,
        "row_scale": linear.row_scale,
    }
    if not linear.pattern.is_dense:
        parts["indices"] = index_encoding(encoding).pack(linear.keep_mask, linear.pattern)
    return parts


def unpack_linear(
    parts: Mapping[str, np.ndarray[Any, Any]], pattern: Pattern, bits: int, k: int, encoding: str
) -> CompressedLinear:
    """Inverse of `pack_linear`; raises NmforgeError where the mask keeps another number of weights than the pattern."""
    n = parts["codes"].shape[0]
    kept = k // pattern.window * pattern.keep
    mask: Bool = np.ones((n, k), dtype=np.bool_)
    if not pattern.is_dense:
        mask = index_encoding(encoding).unpack(parts["indices"], pattern, k)
    if np.count_nonzero(mask) != n * kept:
        raise NmforgeError(f"indices do not keep {pattern.keep} in every window; compress this layer again")
    codes = np.zeros((n, k), dtype=np.int8)
    codes[mask] = unpack_bits(parts["codes"], bits, kept, signed=True).ravel()
    group_size = k // parts["group_mult"].shape[1]
    return CompressedLinear(pattern, bits, group_size, codes, mask, parts["group_mult"], parts["row_scale"])


def index_encoding(name: str) -> Any:
    """Look an index encoding up; raises NmforgeError that lists the known ones."""
    if name not in INDEX_ENCODINGS:
        raise NmforgeError(f"index_encoding {name!r} is unknown; use one of {', '.join(INDEX_ENCODINGS)}")
    return INDEX_ENCODINGS[name]


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
    layers: Mapping[str, Mapping[str, Any]],
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
    """What the header says of one layer."""
    return {
        "pattern": str(linear.pattern),
        "bits": linear.bits,
        "group_size": linear.group_size,
        "n": linear.n,
        "k": linear.k,
    }


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header; raises NmforgeError where the file is missing, truncated, foreign or altered."""
    header: dict[str, Any] = _header_of(_open(path), path)
    return header


def _open(path: Path) -> Any:
    if not path.exists():
        raise NmforgeError(f"artifact {path} is missing; make it with nmforge compress, or check the name")
    try:
        return safe_open(path, framework="np")
    except (SafetensorError, OSError) as error:
        raise NmforgeError(
            f"artifact {path} is truncated or not a safetensors file ({error}); compress it again"
        ) from error


def _header_of(handle: Any, path: Path) -> dict[str, Any]:
    text = (handle.metadata() or {}).get(METADATA_KEY)
    if text is None:
        raise NmforgeError(f"{path} has no nmforge header; name a file written by nmforge compress")
    header = _parse_header(text, path)
    if header.get("format_version") != FORMAT_VERSION:
        raise NmforgeError(
            f"artifact {path} has format version {header.get('format_version')}, this nmforge reads {FORMAT_VERSION}; "
            "compress it again or use the nmforge that wrote it"
        )
    _check_fields(header, path)
    return Fields(path, "", header)


def _parse_header(text: str, path: Path) -> dict[str, Any]:
    """The header's JSON, its hash checked and taken off."""
    try:
        header = json.loads(text)
        claimed = header.pop("header_sha256")
        actual = hash_json(header)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NmforgeError(f"artifact {path}: its header is altered; compress it again") from error
    if claimed != actual:
        raise NmforgeError(f"artifact {path}: its header is altered (hash differs); compress it again")
    whole: dict[str, Any] = header
    return whole


def _check_fields(header: Mapping[str, Any], path: Path) -> None:
    """Raise NmforgeError where a field that every reader relies on is missing or of another type."""
    layers, tensors = header.get("layers"), header.get("tensors")
    fields = {
        "layers": isinstance(layers, dict) and all(_is_layer(layer) for layer in layers.values()),
        "tensors": isinstance(tensors, dict) and all(isinstance(digest, str) for digest in tensors.values()),
        "index_encoding": isinstance(header.get("index_encoding"), str),
        **{name: isinstance(header.get(name, {}), dict) for name in ("design", "model", "calibration", "recovery")},
    }
    for field, holds in fields.items():
        if not holds:
            raise NmforgeError(f"artifact {path}: header field {field} is missing or malformed; compress it again")


def _is_layer(layer: Any) -> bool:
    """Whether a layer's header has every field, and sizes an array can have."""
    if not isinstance(layer, dict):
        return False
    typed = all(type(layer.get(field)) is kind for field, kind in LAYER_FIELDS.items())
    return typed and all(1 <= layer[size] <= MAX_SIZE for size in ("n", "k"))


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
    handle = _open(path)
    header = _header_of(handle, path)
    if name not in header["layers"]:
        raise NmforgeError(f"artifact {path} has no compressed layer {name}; nmforge inspect lists its layers")
    return _load(handle, header, path, name)


def load_linears(path: Path) -> dict[str, CompressedLinear]:
    """Every compressed layer by name, all their tensors verified; empty for a point left in bf16."""
    handle = _open(path)
    header = _header_of(handle, path)
    return {name: _load(handle, header, path, name) for name in header["layers"]}


def _load(handle: Any, header: Mapping[str, Any], path: Path, name: str) -> CompressedLinear:
    layer, encoding = header["layers"][name], header["index_encoding"]
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


def _part_shapes(layer: Mapping[str, Any], pattern: Pattern, encoding: str) -> dict[str, tuple[DType, list[int]]]:
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
        shapes["indices"] = (DType.U8, [n, index_encoding(encoding).row_bytes(k, pattern)])
    return shapes


def _read_part(
    handle: Any, digests: Mapping[str, str], tensor: str, dtype: DType, shape: list[int]
) -> np.ndarray[Any, Any]:
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
    array: np.ndarray[Any, Any] = handle.get_tensor(tensor)
    _check_hash(f"tensor {tensor}", array.tobytes(), digest)
    return array
