"""Every key of config.yaml is explained, and docs/config.md is what the config's own models say."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from factories.checkout import ROOT

from nmforge.cli.main import main
from nmforge.config import Config
from nmforge.reporting.config_docs import blocks

BLOCKS = {path: (meaning, properties) for path, meaning, properties in blocks(Config.model_json_schema())}


def test_every_key_and_every_block_is_described() -> None:
    bare = [
        f"{path}.{name}"
        for path, (_, properties) in BLOCKS.items()
        for name, value in properties.items()
        if not value.get("description", "").endswith(".")
    ]
    assert bare == []
    assert all(meaning.endswith(".") for meaning, _ in BLOCKS.values())


def keys(document: Any, path: str = "") -> set[str]:
    """Paths of the plain values of a document, lists of blocks marked with []."""
    if isinstance(document, dict):
        return {key for name, value in document.items() for key in keys(value, f"{path}.{name}" if path else name)}
    if isinstance(document, list) and document and isinstance(document[0], dict):
        return {key for value in document for key in keys(value, f"{path}[]")}
    return {path}


def test_every_key_of_the_default_config_is_on_the_page() -> None:
    known = {f"{path}.{name}".lstrip(".") for path, (_, properties) in BLOCKS.items() for name in properties}
    used = keys(yaml.safe_load((ROOT / "config.yaml").read_text()))
    assert len(used) > 40 and used <= known


def test_the_page_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--markdown"]) == 0
    assert capsys.readouterr().out == (ROOT / "docs/config.md").read_text()


def test_types_bounds_and_defaults_are_told() -> None:
    page = (ROOT / "docs/config.md").read_text()
    assert re.search(r"^\| `pruner` +\| name of a pruner +\| `\"none\"` ", page, re.MULTILINE)
    assert re.search(r"^\| `seqlen` +\| integer > 1 +\| `2048` ", page, re.MULTILINE)
    assert re.search(r"^\| `shapes` +\| list: \[integer, integer\] ", page, re.MULTILINE)
    assert re.search(r"^\| `revision` +\| string or nothing +\| nothing ", page, re.MULTILINE)
