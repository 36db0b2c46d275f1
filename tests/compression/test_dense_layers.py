"""Layers that keep every weight in a design point that prunes the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nmforge.artifact.format import load_linears
from nmforge.artifact.header import read_header
from nmforge.artifact.storage import linear_bits_per_weight, storage_rows
from nmforge.compression.run import compress_checkpoint
from nmforge.config import CalibrationConfig
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.design import DesignPoint, pattern_label
from nmforge.core.design_rules import check_design
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import DENSE, Pattern
from nmforge.data.corpora.registry import Documents
from nmforge.data.tokens import write_tokens
from nmforge.models.load import load_tokenizer

SPARSE = DesignPoint("sparse", Pattern(2, 4), "sparsegpt", "gptq", 4, 32)
MIXED = replace(SPARSE, id="mixed", dense_layers=("*.0.self_attn.k_proj", "model.layers.1.*"))
PLAIN = DesignPoint("plain", DENSE, "none", "gptq", 4, 32)


@pytest.fixture(scope="module")
def artifacts(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One artifact of each point, on the same text."""
    folder = tmp_path_factory.mktemp("artifacts")
    text = ["".join(chr(97 + (i * j) % 26) for i in range(200)) for j in range(1, 9)]
    write_tokens(Documents(text, text[:1], "r"), load_tokenizer(checkpoint), folder / "tokens")
    for point in (SPARSE, MIXED, PLAIN):
        settings = CalibrationConfig(tokens=512, seqlen=128)
        compress_checkpoint(checkpoint, folder / "tokens", point, settings, "enumerative", folder / point.id)
    return {point.id: folder / point.id for point in (SPARSE, MIXED, PLAIN)}


def assert_same(one: CompressedLinear, other: CompressedLinear) -> None:
    for field in ("codes", "keep_mask", "group_mult", "row_scale"):
        assert np.array_equal(getattr(one, field), getattr(other, field)), field


def test_the_layers_named_keep_every_weight_and_the_others_the_pattern(artifacts: dict[str, Path]) -> None:
    layers = load_linears(artifacts["mixed"])
    dense = {name for name, layer in layers.items() if layer.keep_mask.all()}
    assert dense == {name for name in layers if ".layers.1." in name} | {"model.layers.0.self_attn.k_proj"}
    assert all(layer.pattern == Pattern(2, 4) for name, layer in layers.items() if name not in dense)


def test_a_layer_is_what_a_point_of_its_kind_makes_of_it(artifacts: dict[str, Path]) -> None:
    """In the first block's first layers nothing earlier differs, so each equals that of the pure point."""
    mixed, sparse, plain = (load_linears(artifacts[name]) for name in ("mixed", "sparse", "plain"))
    first = "model.layers.0.self_attn."
    assert_same(mixed[f"{first}k_proj"], plain[f"{first}k_proj"])
    assert_same(mixed[f"{first}q_proj"], sparse[f"{first}q_proj"])
    assert not np.array_equal(plain[f"{first}q_proj"].codes, sparse[f"{first}q_proj"].codes)


def test_storage_counts_each_layer_as_it_is(artifacts: dict[str, Path]) -> None:
    layers = load_linears(artifacts["mixed"])
    weights = sum(layer.codes.size for layer in layers.values())
    bits = {name: linear_bits_per_weight(path) for name, path in artifacts.items()}
    dense = sum(layer.codes.size for layer in layers.values() if layer.pattern.is_dense) / weights
    assert bits["mixed"] == pytest.approx(dense * bits["plain"] + (1 - dense) * bits["sparse"], rel=0.02)
    assert {row["pattern"] for row in storage_rows(artifacts["mixed"], "toy")} == {"2:4+dense"}
    assert pattern_label(read_header(artifacts["sparse"])["design"]) == "2:4"


def test_an_entry_that_names_no_layer_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    typo = replace(MIXED, dense_layers=("model.layer.1.*",))
    with pytest.raises(NmforgeError, match=r"dense_layers entry 'model.layer.1.\*' names no layer; layers are called"):
        compress_checkpoint(checkpoint, tmp_path / "tokens", typo, CalibrationConfig(), "bitmask", tmp_path / "out")


def test_dense_layers_of_a_dense_point_are_refused() -> None:
    with pytest.raises(NmforgeError, match="design plain: dense_layers needs a sparse pattern"):
        check_design(replace(PLAIN, dense_layers=("*",)))
