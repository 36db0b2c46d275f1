"""The artifact file: what is written comes back, and anything altered is refused with one sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nmforge.artifact.format import RawTensor, load_linear, load_linears, verify, write_artifact
from nmforge.artifact.header import read_header
from nmforge.artifact.inspect import describe
from nmforge.artifact.packing.registry import REGISTRY as INDEX_ENCODINGS
from nmforge.artifact.storage import linear_sizes, storage_rows
from nmforge.core.compressed_linear import random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import DENSE, Pattern
from nmforge.io.safetensors_stream import DType


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "a.nmf.safetensors"
    layers = {"b.q_proj": random_linear(np.random.default_rng(1), 5, 64, Pattern(2, 4), 4, 32)}
    rest = {"norm.weight": RawTensor(DType.BF16, (2,), b"\x80\x3f\x80\x3f")}
    design = {"id": "x", "pattern": "2:4", "bits": 4, "group_size": 32}
    write_artifact(path, {"design": design}, layers, rest, "offset")
    return path


def test_round_trip(artifact: Path) -> None:
    want = random_linear(np.random.default_rng(1), 5, 64, Pattern(2, 4), 4, 32)
    assert (load_linears(artifact)["b.q_proj"].codes == want.codes).all()
    assert read_header(artifact)["layers"]["b.q_proj"] == {
        "pattern": "2:4", "bits": 4, "group_size": 32, "n": 5, "k": 64,
    }  # fmt: skip


def test_storage_is_the_formula(artifact: Path) -> None:
    codes, indices, mult, scale = 5 * 16, 5 * 8, 5 * 2, 5 * 4
    assert linear_sizes(artifact) == (codes + indices + mult + scale, 320)


def test_storage_of_an_encoding_is_that_of_a_file_written_with_it(artifact: Path, tmp_path: Path) -> None:
    rows = {row["encoding"]: row for row in storage_rows(artifact, "toy") if row["scope"] == "linear"}
    for encoding in INDEX_ENCODINGS.names():
        other = tmp_path / f"{encoding}.nmf.safetensors"
        write_artifact(other, {}, load_linears(artifact), {}, encoding)
        assert (rows[encoding]["bytes"], 320) == linear_sizes(other)
    dense = replace(load_linears(artifact)["b.q_proj"], pattern=DENSE, keep_mask=np.ones((5, 64), dtype=np.bool_))
    write_artifact(tmp_path / "dense", {}, {"b.q_proj": dense}, {}, "bitmask")
    assert (rows["none"]["bytes"], 320) == linear_sizes(tmp_path / "dense")


def test_every_flipped_byte_of_data_is_found(artifact: Path) -> None:
    whole = artifact.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    for place in range(start, len(whole), 7):
        artifact.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(NmforgeError, match=r"tensor .* is altered \(sha256 differs\); compress it again"):
            verify(artifact)


def test_altered_header(artifact: Path) -> None:
    artifact.write_bytes(artifact.read_bytes().replace(b'\\"bits\\": 4', b'\\"bits\\": 3'))
    with pytest.raises(NmforgeError, match=r"its header is altered"):
        read_header(artifact)


def test_truncated(artifact: Path) -> None:
    artifact.write_bytes(artifact.read_bytes()[:-3])
    with pytest.raises(NmforgeError, match=r"is truncated or not a safetensors file"):
        read_header(artifact)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(NmforgeError, match=r"is missing; make it with nmforge compress"):
        read_header(tmp_path / "none.nmf.safetensors")


def test_unknown_layer(artifact: Path) -> None:
    with pytest.raises(NmforgeError, match=r"has no compressed layer nope"):
        load_linear(artifact, "nope")


def test_nothing_half_written(tmp_path: Path) -> None:
    linear = random_linear(np.random.default_rng(1), 5, 64, Pattern(2, 4), 4, 32)
    linear.group_mult[0, 0] = 0
    with pytest.raises(NmforgeError, match=r"b: group_mult leaves 1\.\.127"):
        write_artifact(tmp_path / "bad.nmf.safetensors", {}, {"b": linear}, {}, "offset")
    assert list(tmp_path.iterdir()) == []


WHOLE = {
    "design": {"id": "x", "pattern": "2:4", "pruner": "wanda", "quantizer": "rtn", "bits": 4, "group_size": 32},
    "model": {"source": "toy", "revision": "1"},
    "calibration": {"tokens": 0},
}


@pytest.mark.parametrize("field", [f"{name}.{key}" for name, keys in WHOLE.items() for key in ("", *keys)])
def test_a_field_that_a_reader_needs_and_misses_is_named(artifact: Path, tmp_path: Path, field: str) -> None:
    layers, path = load_linears(artifact), tmp_path / "b.nmf.safetensors"
    write_artifact(path, WHOLE, layers, {}, "offset")
    assert "x: pattern 2:4" in describe(path)
    name, _, key = field.partition(".")
    fields = {inner: value for inner, value in WHOLE[name].items() if inner != key}
    damaged = {k: v for k, v in WHOLE.items() if k != name} | ({name: fields} if key else {})
    write_artifact(path, damaged, layers, {}, "offset")
    with pytest.raises(NmforgeError, match=f"header field {field.rstrip('.')} is missing; compress it again"):
        describe(path)
    write_artifact(path, damaged | {name: [1]}, layers, {}, "offset")
    with pytest.raises(NmforgeError, match=f"header field {name} is missing or malformed"):
        describe(path)
