"""The table of contents of a DRAM image: the engine it is laid out for, the artifact it came from, and its layers.

    magic     8 bytes   NMFDRAM1
    length    8 bytes   L, little-endian
    digest   32 bytes   SHA-256 of the contents
    contents  L bytes   JSON (the models below), then spaces up to a whole burst of the memory
    sections            one for each layer, in the order of the contents, each a whole number of bursts (dram_image.py)

Where a section lies follows from the shapes before it, and a reader checks the contents against that.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.fpga.model.engine import Engine, Kind
from nmforge.fpga.model.tiling import tiles

MAGIC = b"NMFDRAM1"
BURST = 64
FRONT = len(MAGIC) + 8 + 32
REMEDY = "make it again with nmforge fpga generate"
DIGEST = r"^[0-9a-f]{64}$"
MAX_SIZE = 2**31 - 1


class ContentsModel(BaseModel):
    """A block of the contents: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ImageEngine(ContentsModel):
    """The engine an image is laid out for, field by field as in Engine."""

    window: int = Field(ge=1, le=32)
    bits: int
    rows: int = Field(ge=1, le=MAX_SIZE)
    cols: int = Field(ge=1, le=MAX_SIZE)
    group: int = Field(ge=1, le=MAX_SIZE)
    lanes: int = Field(ge=1, le=MAX_SIZE)
    kind: Kind
    depth: int

    def engine(self) -> Engine:
        """The engine; raises NmforgeError where there is none like that."""
        return Engine(**self.model_dump())


class ImageSource(ContentsModel):
    """The artifact an image was made from."""

    file: str
    sha256: str = Field(pattern=DIGEST)
    design_id: str


class LayerSection(ContentsModel):
    """One layer: what it is, where it lies (bytes from the start of the file) and what it hashes to."""

    offset: int = 0
    bytes: int = 0
    n: int = Field(ge=1, le=MAX_SIZE)
    k: int = Field(ge=1, le=MAX_SIZE)
    pattern: str
    bits: int
    group_size: int = Field(ge=1, le=MAX_SIZE)
    sha256: str = Field("0" * 64, pattern=DIGEST)

    def weight_bytes(self, engine: Engine) -> int:
        """Bytes of the weight image; raises NmforgeError where the layer does not fit the engine."""
        if self.k % self.group_size or self.group_size % engine.group:
            raise NmforgeError(
                f"K = {self.k} and group_size {self.group_size} do not split into the engine's groups of "
                f"{engine.group}; build the engine with a group that divides both"
            )
        keep = engine.keep(Pattern.parse(self.pattern))
        steps = self.k // (engine.window * engine.lanes) * keep
        tile = steps * (engine.code_bytes + engine.index_bytes(keep)) + self.k // engine.group * engine.channels
        return tiles(self.n, engine.channels) * tile


class Contents(ContentsModel):
    """What is in an image, in the order of the file."""

    engine: ImageEngine
    artifact: ImageSource
    layers: dict[str, LayerSection] = Field(min_length=1)


def padded(size: int) -> int:
    """Bytes up to the next whole burst."""
    return tiles(size, BURST) * BURST


def front(contents: Contents) -> bytes:
    """Everything before the sections."""
    text = contents.model_dump_json().encode()
    text += b" " * (padded(FRONT + len(text)) - FRONT - len(text))
    return MAGIC + len(text).to_bytes(8, "little") + hashlib.sha256(text).digest() + text


def place(contents: Contents) -> Contents:
    """The contents with every section where it belongs.

    Longer offsets make the contents longer, which moves the sections again; offsets only grow, so this ends.
    """
    placed = _placed(contents)
    return contents if placed == contents else place(placed)


def read_contents(path: Path, engine: Engine | None = None) -> Contents:
    """Contents of an image, checked against their hash, against each other and against the length of the file.

    With `engine`: also that the image streams into that engine. Raises NmforgeError naming the file and the remedy.
    """
    if not path.is_file():
        raise NmforgeError(f"DRAM image {path} is missing; make it with nmforge fpga generate, or check the name")
    text = _read_text(path)
    contents = _parse(text, path)
    _check_places(contents, path)
    if front(contents)[FRONT:] != text:
        raise NmforgeError(f"DRAM image {path}: its contents are not spelled as nmforge spells them; {REMEDY}")
    if engine is not None and _layout(engine) != _layout(contents.engine.engine()):
        raise NmforgeError(
            f"DRAM image {path} is laid out for {_describe(contents.engine.engine())}, where this engine takes "
            f"{_describe(engine)}; {REMEDY} and this engine's settings"
        )
    return contents


def _layout(engine: Engine) -> tuple[int, int, int, int, int]:
    """What the order of an image's bytes depends on."""
    return engine.window, engine.bits, engine.lanes, engine.channels, engine.group


def _describe(engine: Engine) -> str:
    window, bits, lanes, channels, group = _layout(engine)
    return f"windows of {window}, {bits}-bit codes, {channels} channels, {lanes} lane(s) and groups of {group}"


def _placed(contents: Contents) -> Contents:
    """Sections one after the other, after contents as long as these."""
    engine, at, layers = contents.engine.engine(), len(front(contents)), {}
    for name, section in contents.layers.items():
        try:
            size = padded(section.weight_bytes(engine)) + padded(4 * section.n)
        except NmforgeError as error:
            raise NmforgeError(f"layer {name}: {error}") from error
        layers[name] = section.model_copy(update={"offset": at, "bytes": size})
        at += size
    return contents.model_copy(update={"layers": layers})


def _check_places(contents: Contents, path: Path) -> None:
    """Raise NmforgeError unless sections lie where `place` puts them and the file ends after the last one."""
    try:
        placed = _placed(contents)
    except NmforgeError as error:
        raise NmforgeError(f"DRAM image {path}: {error}") from error
    if placed != contents:
        raise NmforgeError(f"DRAM image {path}: its contents are altered (a layer is out of place); {REMEDY}")
    last = list(contents.layers.values())[-1]
    end, size = last.offset + last.bytes, path.stat().st_size
    if size != end:
        fault = "is truncated" if size < end else "has bytes after its last layer"
        raise NmforgeError(f"DRAM image {path} {fault} ({size:,} bytes instead of {end:,}); {REMEDY}")


def _read_text(path: Path) -> bytes:
    """The text of the contents, its hash checked."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        start = handle.read(FRONT)
        if not start or start[: len(MAGIC)] != MAGIC[: len(start)]:
            raise NmforgeError(f"{path} is no DRAM image of nmforge, it does not start with {MAGIC.decode()}; {REMEDY}")
        length = int.from_bytes(start[len(MAGIC) : len(MAGIC) + 8], "little")
        if len(start) < FRONT or FRONT + length > size:
            raise NmforgeError(f"DRAM image {path} is truncated inside its contents ({size:,} bytes); {REMEDY}")
        text = handle.read(length)
    if hashlib.sha256(text).digest() != start[-32:]:
        raise NmforgeError(f"DRAM image {path}: its contents are altered (sha256 differs); {REMEDY}")
    return text


def _parse(text: bytes, path: Path) -> Contents:
    try:
        return Contents.model_validate_json(text)
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"])) or "JSON"
        raise NmforgeError(f"DRAM image {path}: {key} of its contents is missing or malformed; {REMEDY}") from error
