"""config.yaml: every mistake is one sentence that names the key."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from nmforge.cli import main
from nmforge.config import Config, load_config, parse_config
from nmforge.core.errors import NmforgeError
from nmforge.core.registry import registry

ROOT = Path(__file__).resolve().parents[1]
GOOD = yaml.safe_load((ROOT / "config.yaml").read_text())
COMPRESSED = {"id": "a", "bits": 4, "quantizer": "rtn"}


def test_default_config_has_the_points_of_the_paper_and_its_baselines() -> None:
    ids = [design.id for design in load_config(ROOT / "config.yaml").designs]
    assert {"dense-bf16", "paper-2of4", "qep-int3", "alps-2of4-int4"} <= set(ids)


def without_names(schema: Any) -> Any:
    """A schema without the names of registries, which a new entry changes."""
    if isinstance(schema, dict):
        return {key: without_names(value) for key, value in schema.items() if key != "enum"}
    return [without_names(value) for value in schema] if isinstance(schema, list) else schema


def test_schema_file_is_the_exported_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    exported, kept = capsys.readouterr().out, (ROOT / "workflow/schemas/config.schema.json").read_text()
    assert without_names(json.loads(exported)) == without_names(json.loads(kept))
    assert Config.model_json_schema()["additionalProperties"] is False


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"evaluation": {"window": 3}}, "config.yaml: unknown key evaluation.window; remove it or correct"),
        ({"evaluation": {"sequences": 0}}, "config.yaml: evaluation.sequences: Input should be greater than 0"),
        (
            {"designs": [{"id": "d"}, {"id": "a", "pattern": "2-4", "bits": 4}]},
            "pattern '2-4' is not of the form keep:window",
        ),
        ({"fpga": {"patterns": ["2x4"]}}, "config.yaml: fpga.patterns.0: pattern '2x4' is not of the form keep:window"),
        ({"designs": [{"id": "a"}, {"id": "a"}]}, "designs repeats the id a"),
        ({"designs": [{"id": "a"}]}, "designs has 1 points with bits 16 among 1; keep one, and at least one other"),
        ({"designs": [{"id": "a", "bits": 4}, {"id": "b", "bits": 4}]}, "designs has 0 points with bits 16 among 2"),
        ({"designs": [{"id": "d"}, {"id": "a", "pattern": "2:40", "bits": 4}]}, "pattern 2:40 is out of range"),
        (
            {"designs": [{"id": "d"}, COMPRESSED | {"pruner": "best"}]},
            "config.yaml: designs.1.pruner: pruner 'best' is unknown; use one of ",
        ),
        (
            {"designs": [{"id": "d"}, COMPRESSED | {"transforms": ["best"]}]},
            "config.yaml: designs.1.transforms.0: transform 'best' is unknown; use one of ",
        ),
        (
            {"designs": [{"id": "d"}, COMPRESSED | {"pattern": "2:4"}]},
            "design a: pattern 2:4 and pruner none disagree; a dense pattern goes with pruner none, any other with a",
        ),
        (
            {"designs": [{"id": "a"}, {"id": "b", "recovery": {"start": "c", "steps": 1}}]},
            "recovery.start of b must name a compressed design point that is not trained, or, for",
        ),
        (
            {"designs": [{"id": "a"}, {"id": "b", "recovery": {"start": "a", "steps": 1}}]},
            "recovery.start of b must name a compressed design point",
        ),
        (
            {
                "designs": [
                    {"id": "a", "bits": 4, "quantizer": "rtn"},
                    {"id": "b", "bits": 3, "recovery": {"start": "a", "steps": 1}},
                ]
            },
            "bits of b is inherited from recovery.start; remove it",
        ),
        (
            {
                "designs": [
                    COMPRESSED,
                    {"id": "b", "recovery": {"start": "a", "steps": 1, "scope": "block", "hard_label_weight": 0.3}},
                ]
            },
            "recovery.hard_label_weight and recovery.self_generated are for scope model; remove them",
        ),
        (
            {
                "designs": [
                    COMPRESSED,
                    {"id": "b", "recovery": {"start": "a", "steps": 1, "scope": "block"}},
                    {"id": "c", "recovery": {"start": "b", "steps": 1, "scope": "block"}},
                ]
            },
            "recovery.start of c must name a compressed design point that is not trained",
        ),
        (
            {
                "designs": [
                    COMPRESSED,
                    {"id": "b", "recovery": {"start": "a", "steps": 1}},
                    {"id": "c", "recovery": {"start": "b", "steps": 1}},
                ]
            },
            "recovery.start of c must name a compressed design point that is not trained",
        ),
    ],
)
def test_sentences(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(NmforgeError) as caught:
        parse_config(GOOD | change, "config.yaml")
    assert sentence in str(caught.value)


def test_a_verb_prints_one_sentence_and_returns_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "no.nmf.safetensors")]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("nmforge inspect: artifact ")
    assert printed.count("\n") == 1


def test_a_recovered_point_has_the_compression_of_its_start() -> None:
    start = {"id": "a", "pattern": "2:4", "pruner": "wanda", "quantizer": "rtn", "bits": 4, "group_size": 32}
    config = parse_config(
        GOOD | {"designs": [{"id": "d"}, {"id": "b", "recovery": {"start": "a", "steps": 5}}, start]}, "config.yaml"
    )
    assert config.design("b").point() == replace(config.design("a").point(), id="b")


def test_training_can_go_on_where_that_of_the_blocks_ended() -> None:
    blocks = {"id": "b", "recovery": {"start": "a", "steps": 5, "scope": "block"}}
    whole = {"id": "c", "recovery": {"start": "b", "steps": 5}}
    config = parse_config(GOOD | {"designs": [{"id": "d"}, whole, blocks, COMPRESSED]}, "config.yaml")
    assert config.design("c").point() == replace(config.design("a").point(), id="c")


def test_studies_are_valid_once_merged_with_the_default() -> None:
    studies = sorted((ROOT / "workflow/studies").glob("*.yaml"))
    assert studies
    for study in studies:
        parse_config(GOOD | yaml.safe_load(study.read_text()), study.name)


@pytest.mark.parametrize("name", ["nowhere", "d"])
@pytest.mark.parametrize("key", ["fpga.netlists", "coherence.texts"])
def test_designs_named_elsewhere_are_compressed_ones(key: str, name: str) -> None:
    block, field = key.split(".")
    found = [name] if field == "netlists" else [{"design": name, "prompt": "a"}]
    designs = [{"id": "d"}, {"id": "a", "quantizer": "rtn", "bits": 4}]
    with pytest.raises(NmforgeError, match=f"{key} names {name}, which is no compressed point of designs"):
        parse_config(GOOD | {"designs": designs, block: {field: found}}, "config.yaml")


def test_the_schema_offers_every_registered_name() -> None:
    fields = Config.model_json_schema()["$defs"]["DesignConfig"]["properties"]
    assert fields["pruner"]["enum"] == ["none", *registry("pruner").names()]
    assert fields["quantizer"]["enum"] == ["none", *registry("quantizer").names()]
    assert fields["transforms"]["items"]["enum"] == registry("transform").names()
