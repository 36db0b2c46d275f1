"""The DRAM image: read back exactly, as an independent reader and the engine see it; refused where a bit is wrong."""

from __future__ import annotations

import hashlib
import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmforge.artifact.format import load_linears, write_artifact
from nmforge.core.compressed_linear import CompressedLinear, random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.core.reference import accumulate
from nmforge.fpga.images.dram_header import read_contents
from nmforge.fpga.images.dram_image import read_layers, write_dram_image
from nmforge.fpga.images.weight_image import kept_weights, write_activation_image
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.sim.engine import SimulationJob, run_job
from nmforge.fpga.sim.verilator import build_simulator

FRONT = 48
# engine (of, bits, lanes, group) and the patterns, bits and group sizes of layers it takes
BUILDS = [
    ((1, 4, 1, 32), [("1:1", 4, 32), ("1:1", 3, 64), ("1:1", 2, 0)]),
    ((2, 8, 1, 32), [("1:1", 8, 32), ("1:2", 8, 96)]),
    ((4, 4, 1, 32), [("2:4", 4, 32), ("1:4", 4, 64), ("1:2", 4, 0), ("3:4", 3, 32), ("1:1", 4, 192)]),
    ((4, 3, 1, 64), [("2:4", 3, 64), ("1:4", 2, 192), ("1:1", 3, 0)]),
    ((4, 4, 2, 32), [("2:4", 4, 32), ("1:1", 4, 64)]),
    ((8, 4, 1, 32), [("4:8", 4, 32), ("2:8", 4, 64), ("1:8", 4, 0), ("2:4", 4, 32), ("1:2", 4, 32), ("1:1", 4, 32)]),
    ((16, 5, 1, 32), [("8:16", 5, 32), ("2:16", 4, 64), ("1:1", 5, 0)]),
    ((6, 2, 1, 96), [("2:6", 2, 96), ("2:3", 2, 0)]),
]
ENGINES = [
    Engine(window, bits, rows, cols, group, lanes, kind)
    for (window, bits, lanes, group), _ in BUILDS
    for kind, rows, cols in (("gemm", 3, 2), ("gemv", 2, 2), ("device", 8, 2))
]


def artifact(folder: Path, layers: dict[str, CompressedLinear], name: str = "a") -> Path:
    path = folder / f"{name}.nmf.safetensors"
    write_artifact(path, {"design": {"id": "some-design"}}, layers, {}, "bitmask")
    return path


def layers_for(window: int, bits: int, lanes: int, group: int) -> dict[str, CompressedLinear]:
    rng = np.random.default_rng(window * 1000 + bits)
    known = next(kinds for build, kinds in BUILDS if build == (window, bits, lanes, group))
    layers = {}
    for i, (pattern, own, size) in enumerate(known):
        for n, k in ((5, 192), (16, 576)):  # ragged tiles; blocks that end early
            layers[f"l{i}.{n}x{k}"] = random_linear(rng, n, k, Pattern.parse(pattern), own, size)
    return layers


def same(a: CompressedLinear, b: CompressedLinear) -> bool:
    """Every field, types included."""
    arrays = [(getattr(a, f), getattr(b, f)) for f in ("codes", "keep_mask", "group_mult", "row_scale")]
    settings = (a.pattern, a.bits, a.group_size) == (b.pattern, b.bits, b.group_size)
    return settings and all(x.dtype == y.dtype and x.shape == y.shape and (x == y).all() for x, y in arrays)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: f"{e.kind}-of{e.window}-int{e.bits}-x{e.lanes}")
def test_what_is_read_is_the_artifact_and_what_is_written_again_the_image(tmp_path: Path, engine: Engine) -> None:
    layers = layers_for(engine.window, engine.bits, engine.lanes, engine.group)
    source = artifact(tmp_path, layers)
    written = write_dram_image(source, engine, tmp_path / "w.dram")
    found = dict(read_layers(tmp_path / "w.dram", engine))
    expected = load_linears(source)
    assert list(found) == list(expected)
    assert all(same(found[name], linear) for name, linear in expected.items())
    again = artifact(tmp_path, found, "b")
    assert again.read_bytes() == source.read_bytes()
    assert written == read_contents(tmp_path / "w.dram")
    assert written.artifact.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()


def slow_read(data: bytes, name: str) -> dict[str, Any]:
    """A layer of an image, bit by bit from the picture in the documentation. For one lane."""
    (length,) = struct.unpack_from("<Q", data, 8)
    contents = json.loads(data[FRONT : FRONT + length])
    build, layer = contents["engine"], contents["layers"][name]
    rows = build["rows"] * (build["cols"] if build["kind"] == "gemv" else 1)
    window, bits, group, n, k = build["window"], build["bits"], build["group"], layer["n"], layer["k"]
    keep_text, of_text = layer["pattern"].split(":")
    keep = int(keep_text) * window // int(of_text)
    index_bits = len(bin(window - 1)) - 2
    w = np.zeros((n, k), dtype=int)
    mask = np.zeros((n, k), dtype=bool)
    mult = np.zeros((n, k // group), dtype=int)
    at = layer["offset"]

    def field(start: int, place: int, width: int) -> int:
        word = int.from_bytes(data[start : start + (rows * width + 7) // 8], "little")
        return word >> (place * width) & ((1 << width) - 1)

    for tile in range(0, n, rows):
        for first in range(0, k, 512):
            inputs = min(512, k - first)
            steps = inputs // window * keep
            code_at, index_at = at, at + steps * ((rows * bits + 7) // 8)
            mult_at = index_at + (0 if keep == window else steps * ((rows * index_bits + 7) // 8))
            for step in range(steps):
                for row in range(min(rows, n - tile)):
                    code = field(code_at + step * ((rows * bits + 7) // 8), row, bits)
                    offset = step % keep
                    if keep < window:
                        offset = field(index_at + step * ((rows * index_bits + 7) // 8), row, index_bits)
                    place = first + step // keep * window + offset
                    w[tile + row, place] = code - (1 << bits) * (code >> (bits - 1))
                    mask[tile + row, place] = True
            for g in range(inputs // group):
                for row in range(min(rows, n - tile)):
                    mult[tile + row, first // group + g] = data[mult_at + g * rows + row]
            at = mult_at + inputs // group * rows
    at += -(at - layer["offset"]) % 64
    scales = struct.unpack_from(f"<{n}f", data, at)
    return {"codes": w, "keep_mask": mask, "group_mult": mult, "row_scale": np.array(scales, dtype=np.float32)}


@pytest.mark.parametrize(
    ("engine", "pattern", "size"),
    [
        (Engine(4, 4, 3, 2, 64), "2:4", 128),
        (Engine(4, 3, 5, 2, 64), "1:1", 64),
        (Engine(8, 5, 2, 3, 32, kind="gemv"), "1:2", 32),
        (Engine(16, 4, 8, 2, 64, kind="device"), "2:16", 64),
    ],
    ids=["gemm", "dense", "gemv", "device"],
)
def test_a_reader_that_knows_only_the_documentation_agrees(
    tmp_path: Path, engine: Engine, pattern: str, size: int
) -> None:
    rng = np.random.default_rng(5)
    layers = {f"l{n}": random_linear(rng, n, 640, Pattern.parse(pattern), engine.bits, size) for n in (1, 7)}
    write_dram_image(artifact(tmp_path, layers), engine, tmp_path / "w.dram")
    data = (tmp_path / "w.dram").read_bytes()
    for name, linear in layers.items():
        found = slow_read(data, name)
        repeated = np.repeat(linear.group_mult, size // engine.group, axis=1)
        assert (found["group_mult"] == repeated).all()
        for field in ("codes", "keep_mask", "row_scale"):
            assert (found[field] == getattr(linear, field)).all(), field


def test_an_engine_that_streams_the_file_computes_the_reference(tmp_path: Path, builds: Path) -> None:
    engine, rng = Engine(4, 4, 2, 2, 32), np.random.default_rng(6)
    layers = {name: random_linear(rng, 7, 96, Pattern.parse(p), 4, 32) for name, p in (("s", "2:4"), ("d", "1:1"))}
    contents = write_dram_image(artifact(tmp_path, layers), engine, tmp_path / "w.dram")
    data = (tmp_path / "w.dram").read_bytes()
    program = build_simulator(engine, builds)
    xq = rng.integers(-127, 128, (3, 96), dtype=np.int8)
    for name, linear in layers.items():
        section = contents.layers[name]
        stream = data[section.offset : section.offset + section.weight_bytes(engine)]
        job = SimulationJob.for_engine(engine, kept_weights(linear, engine), 3)
        found = run_job(program, job, stream + write_activation_image(xq, engine).tobytes())
        assert (found.acc == accumulate(linear, xq)).all()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Two small layers."""
    rng = np.random.default_rng(7)
    layers = {"gate": random_linear(rng, 5, 64, Pattern(2, 4), 4, 32), "up": random_linear(rng, 3, 64, Pattern(1, 4))}
    write_dram_image(artifact(tmp_path, layers), Engine(4, 4, 2, 2, 32), tmp_path / "w.dram")
    return tmp_path / "w.dram"


def refusal(path: Path, engine: Engine | None = None) -> str:
    with pytest.raises(NmforgeError) as caught:
        for _ in read_layers(path, engine):
            pass
    return str(caught.value)


def test_a_flipped_bit_anywhere_is_refused_by_name(image: Path) -> None:
    data, contents = image.read_bytes(), read_contents(image)
    starts = {section.offset: name for name, section in contents.layers.items()}
    body = range(8 * FRONT, 8 * len(data))
    for bit in [*range(8 * FRONT), *random.Random(0).sample(body, 1500)]:
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        image.write_bytes(altered)
        sentence = refusal(image)
        assert str(image) in sentence and "make it again with nmforge fpga generate" in sentence
        inside = [name for start, name in starts.items() if start <= bit // 8]
        if inside:
            assert f"layer {inside[-1]} is altered (sha256 differs)" in sentence
        elif bit // 8 >= 16:
            assert "its contents are altered (sha256 differs)" in sentence


def test_a_truncated_or_lengthened_file_is_refused(image: Path) -> None:
    data = image.read_bytes()
    for length in [*range(0, len(data), 17), len(data) - 1]:
        image.write_bytes(data[:length])
        sentence = refusal(image)
        assert "truncated" in sentence if length >= 8 else "truncated" in sentence or "is no DRAM image" in sentence
    image.write_bytes(data + b"\0")
    assert "has bytes after its last layer" in refusal(image)


def test_another_file_is_refused(image: Path, tmp_path: Path) -> None:
    other = artifact(tmp_path, {"l": random_linear(np.random.default_rng(0), 2, 64, Pattern(2, 4))})
    assert "is no DRAM image of nmforge, it does not start with NMFDRAM1" in refusal(other)
    image.write_bytes(image.read_bytes().replace(b"NMFDRAM1", b"NMFDRAM2", 1))
    assert "is no DRAM image of nmforge" in refusal(image)
    for missing in (tmp_path / "none.dram", tmp_path):
        assert "is missing; make it with nmforge fpga generate" in refusal(missing)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Engine(4, 4, 3, 2, 32), "2 channels, 1 lane(s) and groups of 32, where this engine takes windows of 4, 4-bit"),
        (Engine(8, 4, 2, 2, 32), "where this engine takes windows of 8"),
        (Engine(4, 5, 2, 2, 32), "5-bit codes"),
        (Engine(4, 4, 2, 2, 64), "groups of 64"),
        (Engine(4, 4, 2, 2, 32, 2), "2 lane(s)"),
        (Engine(4, 4, 2, 2, 32, kind="gemv"), "4 channels"),
    ],
)
def test_another_build_is_refused(image: Path, other: Engine, words: str) -> None:
    sentence = refusal(image, other)
    assert words in sentence and f"DRAM image {image} is laid out for windows of 4" in sentence
    assert "make it again with nmforge fpga generate and this engine's settings" in sentence


def test_the_columns_of_an_array_do_not_matter(image: Path) -> None:
    assert [name for name, _ in read_layers(image, Engine(4, 4, 2, 4, 32))] == ["gate", "up"]


def mend(path: Path, change: Callable[[dict[str, Any]], object], body: Callable[[bytes], bytes] = bytes) -> None:
    """Change contents or sections of an image and make every hash right again."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data, 8)
    contents, sections = json.loads(data[FRONT : FRONT + length]), body(data[FRONT + length :])
    for layer in contents["layers"].values():
        start = layer["offset"] - FRONT - length
        layer["sha256"] = hashlib.sha256(sections[start : start + layer["bytes"]]).hexdigest()
    change(contents)
    text = json.dumps(contents, separators=(",", ":")).encode().ljust(length)
    path.write_bytes(data[:8] + struct.pack("<Q", len(text)) + hashlib.sha256(text).digest() + text + sections)


def first_offsets(value: int) -> Callable[[bytes], bytes]:
    """Write the offsets of the first window, two steps of two channels: after 32 steps with a byte of codes each."""
    return lambda data: data[:32] + bytes([value, value]) + data[34:]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c["layers"]["gate"].pop("bits"), "layers.gate.bits of its contents is missing or malformed"),
        (lambda c: c["engine"].update(kind="tpu"), "engine.kind of its contents is missing or malformed"),
        (lambda c: c["engine"].update(bits=9), "takes weight codes of 2 to 8 bits, not 9"),
        (lambda c: c["layers"]["gate"].update(pattern="2:8"), "layer gate: this engine selects from windows of 4"),
        (lambda c: c["layers"]["gate"].update(pattern="half"), "pattern 'half' is not of the form keep:window"),
        (lambda c: c["layers"]["gate"].update(group_size=48), "layer gate: K = 64 and group_size 48 do not split"),
        (lambda c: c["layers"]["up"].update(offset=64), "its contents are altered (a layer is out of place)"),
        (lambda c: c["layers"]["gate"].update(n=6), "gate: group_mult leaves 1..127"),
        (lambda c: c["layers"]["gate"].update(n=2**31), "layers.gate.n of its contents is missing or malformed"),
        (lambda c: c["layers"]["gate"].update(bits=3), "gate: the layer: codes leave -4..3"),
        (lambda c: c.update(layers={}), "layers of its contents is missing or malformed"),
    ],
)
def test_contents_that_lie_under_a_right_hash_are_refused(
    image: Path, change: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    mend(image, change)
    assert sentence in refusal(image).replace("the layer: group", "group") and str(image) in refusal(image)


def test_sections_that_are_no_layer_are_refused_under_a_right_hash(image: Path) -> None:
    mend(image, lambda contents: None)
    assert [name for name, _ in read_layers(image)] == ["gate", "up"]
    mend(image, lambda contents: None, first_offsets(0b1010))
    assert "gate: offsets do not ascend inside their windows" in refusal(image)


def test_multipliers_that_differ_inside_a_group_are_refused(tmp_path: Path) -> None:
    linear = random_linear(np.random.default_rng(1), 2, 64, Pattern(1, 1), 4, 64)
    write_dram_image(artifact(tmp_path, {"l": linear}), Engine(4, 4, 2, 2, 32), tmp_path / "w.dram")
    mend(tmp_path / "w.dram", lambda contents: None, lambda data: data[:64] + bytes([data[64] ^ 1]) + data[65:])
    assert "l: multipliers differ inside a group of 64" in refusal(tmp_path / "w.dram")


def test_layers_that_do_not_fit_are_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    source = artifact(tmp_path, {"up": random_linear(np.random.default_rng(0), 2, 64, Pattern(2, 4))})
    for engine, sentence in [
        (Engine(2, 4, 2, 2, 64), "layer up: this engine selects from windows of 2, where 2:4 does not fit"),
        (Engine(4, 3, 2, 2, 64), "layer up: this engine is built for codes of 3 bits, the layer has 4"),
        (Engine(4, 4, 2, 2, 128), "layer up: K = 64 and group_size 64 do not split into the engine's groups of 128"),
        (Engine(4, 4, 2, 17, 64), "layer up: cols = 17 breaks the no-stall rule"),
    ]:
        with pytest.raises(NmforgeError) as caught:
            write_dram_image(source, engine, tmp_path / "w.dram")
        assert sentence in str(caught.value) and str(source) in str(caught.value)
    dense = artifact(tmp_path, {}, "dense")
    with pytest.raises(NmforgeError, match=r"has no compressed layers, only bf16; name a compressed"):
        write_dram_image(dense, Engine(4, 4, 2, 2, 64), tmp_path / "w.dram")
    assert [path.name for path in tmp_path.iterdir() if "dram" in path.name] == []
