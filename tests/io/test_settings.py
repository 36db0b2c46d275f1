"""Settings files: each mistake is one sentence that names file, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, PositiveInt

from nmforge.core.errors import NmforgeError
from nmforge.io.settings import read_yaml, validated


class Sizes(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rows: PositiveInt


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    array: Sizes


def test_a_document_becomes_a_model() -> None:
    assert validated(Settings, {"array": {"rows": 3}}, "a.yaml").array.rows == 3


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"array": {"rows": 0}}, "a.yaml: array.rows: Input should be greater than 0; correct this value"),
        ({"array": {"rows": 1, "row": 2}}, "a.yaml: unknown key array.row; remove it or correct its spelling"),
        ({}, "a.yaml: array: Field required; correct this value"),
        (None, "a.yaml: the file: Input should be a valid dictionary or instance of Settings; correct this value"),
    ],
)
def test_a_mistake_is_one_sentence(document: object, sentence: str) -> None:
    with pytest.raises(NmforgeError) as error:
        validated(Settings, document, "a.yaml")
    assert str(error.value) == sentence


def test_a_file_that_is_missing_or_no_yaml(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    with pytest.raises(NmforgeError, match=rf"^config {file} is missing; name another$"):
        read_yaml(file, "config", "name another")
    file.write_text("a: [")
    with pytest.raises(NmforgeError, match=rf"(?s)^config {file} is not valid YAML \(.*\); correct it$"):
        read_yaml(file, "config", "name another")
    file.write_text("a: 1")
    assert read_yaml(file, "config", "name another") == {"a": 1}
