"""The JSON header of an artifact: what it holds, and what a reader may rely on once it is read.

Every field of the header that all readers use is checked here; the others are looked up in `Fields`, which names a
field that is missing. `header_sha256` is the hash of the header without that entry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, get_type_hints

from safetensors import SafetensorError, safe_open

from nmforge.core.errors import NmforgeError
from nmforge.io.hashing import hash_json

FORMAT_VERSION = 1
METADATA_KEY = "nmforge"
BY_NAME = ("layers", "tensors")  # objects of the header whose keys are names, not fields
MAX_SIZE = 2**31 - 1

Header = dict[str, Any]


class LayerHeader(TypedDict):
    """What the header says of one compressed layer [n, k]: its pattern, as text, and its quantization scheme."""

    pattern: str
    bits: int
    group_size: int
    n: int
    k: int


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


def read_header(path: Path) -> Header:
    """The JSON header; raises NmforgeError where the file is missing, truncated, foreign or altered."""
    return header_of(open_artifact(path), path)


def open_artifact(path: Path) -> Any:
    """The file as the safetensors library opens it; raises NmforgeError where it is missing or truncated."""
    if not path.exists():
        raise NmforgeError(f"artifact {path} is missing; make it with nmforge compress, or check the name")
    try:
        return safe_open(path, framework="np")
    except (SafetensorError, OSError) as error:
        raise NmforgeError(
            f"artifact {path} is truncated or not a safetensors file ({error}); compress it again"
        ) from error


def header_of(handle: Any, path: Path) -> Header:
    """The header of a file that `open_artifact` opened, its hash and its fields checked."""
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


def _parse_header(text: str, path: Path) -> Header:
    """The header's JSON, its hash checked and taken off."""
    try:
        header = json.loads(text)
        claimed = header.pop("header_sha256")
        actual = hash_json(header)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NmforgeError(f"artifact {path}: its header is altered; compress it again") from error
    if claimed != actual:
        raise NmforgeError(f"artifact {path}: its header is altered (hash differs); compress it again")
    whole: Header = header
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
    typed = all(type(layer.get(field)) is kind for field, kind in get_type_hints(LayerHeader).items())
    return typed and all(1 <= layer[size] <= MAX_SIZE for size in ("n", "k"))
