"""The keys of config.yaml as a page of Markdown, from its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from nmforge.reporting.markdown import markdown_table

HEAD = """# Configuration

The settings of a run are `config.yaml`; files after `--configfile`, and `--config`, change single keys. An unknown key,
a wrong type and settings that do not go together are errors before any work begins. `nmforge list KIND` prints the
names that a key takes where a type says "name of". This page is made by `nmforge schema --markdown`.
"""
BOUNDS = {"minimum": ">= ", "exclusiveMinimum": "> ", "maximum": "<= ", "exclusiveMaximum": "< "}
Schema = Mapping[str, Any]


def describe_config(schema: Schema) -> str:
    """A section for each block of settings: its keys, their types, defaults and meanings. schema: of `Config`."""
    return "\n".join([HEAD, *(_section(*block) for block in blocks(schema))])


def blocks(schema: Schema) -> Iterator[tuple[str, str, dict[str, Schema]]]:
    """(path, meaning, properties) of every block of settings, the top first; `[]` marks a list of blocks."""
    yield from _blocks(schema, schema, "")


def _blocks(root: Schema, block: Schema, path: str) -> Iterator[tuple[str, str, dict[str, Schema]]]:
    inner = {name: _block_of(root, value) for name, value in block["properties"].items()}
    plain = {name: value for name, value in block["properties"].items() if inner[name] is None}
    if plain:
        yield path, str(block["description"]), plain
    for name, value in inner.items():
        if value is not None:
            below = f"{path}.{name}" if path else name
            listed = "items" in block["properties"][name]
            yield from _blocks(root, value, f"{below}[]" if listed else below)


def _block_of(root: Schema, value: Schema) -> Schema | None:
    """The block that a key holds, or a list of it; None for a plain value."""
    for one in (value, value.get("items", {}), *value.get("anyOf", []), *value.get("allOf", [])):
        if "$ref" in one:
            found: Schema = root["$defs"][one["$ref"].rpartition("/")[2]]
            return found
    return None


def _section(path: str, meaning: str, properties: Mapping[str, Schema]) -> str:
    rows = (
        [f"`{name}`", _type(value), _default(value), str(value.get("description", ""))]
        for name, value in properties.items()
    )
    heading = f"## `{path}`" if path else "## Top level"
    return f"{heading}\n\n{meaning}\n\n{markdown_table(['key', 'type', 'default', 'meaning'], rows)}\n"


def _type(value: Schema) -> str:
    """The type of a key in words, with its bounds."""
    if "x-registry" in value:
        kind = value["x-registry"].replace("_", " ")
        return f"name of {'an' if kind[0] in 'aeiou' else 'a'} {kind}"
    if "enum" in value:
        return ", ".join(f"`{name}`" for name in value["enum"])
    if "anyOf" in value:
        return " or ".join(_type(one) for one in value["anyOf"])
    if value.get("prefixItems"):
        return "[" + ", ".join(_type(one) for one in value["prefixItems"]) + "]"
    if value["type"] == "array":
        return f"list: {_type(value['items'])}"
    bounds = [f"{sign}{value[key]:g}" for key, sign in BOUNDS.items() if key in value]
    name = "nothing" if value["type"] == "null" else str(value["type"])
    return f"{name} {', '.join(bounds)}".strip()


def _default(value: Schema) -> str:
    if "default" not in value:
        return "required"
    return "nothing" if value["default"] is None else f"`{json.dumps(value['default'])}`"
