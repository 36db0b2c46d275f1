"""The DRAM image of an artifact: every compressed layer in the order in which the weight loader streams it.

    file    = contents (dram_header.py) | section of layer 0 | section of layer 1 | ...
    section = weight image (weight_image.py) | zeros up to a burst | row_scale | zeros likewise

row_scale is float32[N], little-endian.
The SHA-256 of a section covers all of its bytes. Reading is the exact inverse of writing: codes, masks, group
multipliers and row scales come back as the artifact has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nmforge.artifact.format import load_linear
from nmforge.artifact.header import read_header
from nmforge.core.compressed_linear import Bool, CompressedLinear, Int8, UInt8, mask_from_offsets
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.fpga.images.dram_header import (
    REMEDY,
    Contents,
    ImageEngine,
    ImageSource,
    LayerSection,
    front,
    padded,
    place,
    read_contents,
)
from nmforge.fpga.images.weight_image import Bytes, KeptWeights, kept_weights, read_weight_image, write_weight_image
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.model.tiling import tiles
from nmforge.io.files import write_atomically
from nmforge.io.hashing import sha256_bytes, sha256_file


def write_dram_image(artifact: Path, engine: Engine, out: Path) -> Contents:
    """Write the image of every compressed layer of an artifact, or nothing; returns its contents.

    One layer is in memory at a time. Raises NmforgeError where a layer does not fit the engine, or none is compressed.
    """
    planned = plan(artifact, engine)
    written: list[Contents] = []

    def write(path: Path) -> None:
        with path.open("wb") as handle:
            handle.write(bytes(len(front(planned))))
            layers = {name: _write_section(handle, artifact, name, planned) for name in planned.layers}
            written.append(planned.model_copy(update={"layers": layers}))
            handle.seek(0)
            handle.write(front(written[0]))

    write_atomically(out, write)
    return written[0]


def plan(artifact: Path, engine: Engine) -> Contents:
    """The contents of an artifact's image but for the hashes of its sections, which are not written yet."""
    header = read_header(artifact)
    if not header["layers"]:
        raise NmforgeError(f"{artifact} has no compressed layers, only bf16; name a compressed artifact")
    source = ImageSource(file=artifact.name, sha256=sha256_file(artifact), design_id=header["design"]["id"])
    layers = {name: LayerSection(**layer) for name, layer in header["layers"].items()}
    try:
        return place(Contents(engine=ImageEngine(**asdict(engine)), artifact=source, layers=layers))
    except NmforgeError as error:
        raise NmforgeError(f"{artifact}, {error}") from error


def read_layers(path: Path, engine: Engine | None = None) -> Iterator[tuple[str, CompressedLinear]]:
    """Every layer of an image by name, one at a time, its hash checked: the inverse of `write_dram_image`.

    Raises NmforgeError as `read_contents` does, and where a layer is altered.
    """
    contents = read_contents(path, engine)
    for name in contents.layers:
        yield name, _layer(path, contents, name)


def _write_section(handle: BinaryIO, artifact: Path, name: str, planned: Contents) -> LayerSection:
    """Write one layer of the artifact where the contents place it; returns the section with its hash."""
    section, engine = planned.layers[name], planned.engine.engine()
    linear = load_linear(artifact, name)
    try:
        image = write_weight_image(kept_weights(linear, engine), engine).tobytes()
    except NmforgeError as error:
        raise NmforgeError(f"{artifact}, layer {name}: {error}") from error
    scales = linear.row_scale.astype("<f4").tobytes()
    data = b"".join(part.ljust(padded(len(part)), b"\0") for part in (image, scales))
    if (handle.tell(), len(data)) != (section.offset, section.bytes):
        raise ValueError(f"layer {name}: {len(data)} bytes at {handle.tell()} were planned as {section}")
    handle.write(data)
    return section.model_copy(update={"sha256": sha256_bytes(data)})


def _section_data(path: Path, name: str, section: LayerSection) -> Bytes:
    """The bytes of a section, their hash checked."""
    with path.open("rb") as handle:
        handle.seek(section.offset)
        data = handle.read(section.bytes)
    if sha256_bytes(data) != section.sha256:
        raise NmforgeError(f"DRAM image {path}: layer {name} is altered (sha256 differs); {REMEDY}")
    return np.frombuffer(data, dtype=np.uint8)


def _layer(path: Path, contents: Contents, name: str) -> CompressedLinear:
    """One layer; raises NmforgeError where its bytes, whatever their hash, are no layer."""
    section, engine = contents.layers[name], contents.engine.engine()
    data, size = _section_data(path, name, section), section.weight_bytes(engine)
    pattern = Pattern.parse(section.pattern)
    image = data[:size].reshape(tiles(section.n, engine.channels), -1)
    kept = read_weight_image(image, engine, section.n, section.k // engine.group, engine.keep(pattern))
    scales = data[padded(size) :][: 4 * section.n].view("<f4").astype(np.float32)
    try:
        codes, mask = _dense(kept, engine)
        mult = _layer_mult(kept, section, engine)
        linear = CompressedLinear(pattern, section.bits, section.group_size, codes, mask, mult, scales)
        linear.check("the layer")
    except NmforgeError as error:
        raise NmforgeError(f"DRAM image {path}, {name}: {error}; {REMEDY}") from error
    return linear


def _dense(kept: KeptWeights, engine: Engine) -> tuple[Int8, Bool]:
    """(codes int8[N, K], mask bool[N, K]); raises NmforgeError where offsets do not ascend inside their window."""
    offsets = kept.offsets.astype(np.int16)
    if (np.diff(offsets, axis=2) <= 0).any() or offsets.max() >= engine.window:
        raise NmforgeError("offsets do not ascend inside their windows")
    n, windows, keep = offsets.shape
    mask = mask_from_offsets(kept.offsets.reshape(n, -1), Pattern(keep, engine.window), windows * engine.window)
    codes: np.ndarray[Any, np.dtype[np.int8]] = np.zeros(mask.shape, dtype=np.int8)
    codes[mask] = kept.codes.reshape(-1)
    return codes, mask


def _layer_mult(kept: KeptWeights, section: LayerSection, engine: Engine) -> UInt8:
    """Multipliers of the layer's groups, uint8[N, K / group_size]; the image repeats them for each engine group."""
    parts = kept.mult.reshape(section.n, section.k // section.group_size, section.group_size // engine.group)
    if (parts != parts[:, :, :1]).any():
        raise NmforgeError(f"multipliers differ inside a group of {section.group_size}")
    return np.ascontiguousarray(parts[:, :, 0])
