"""Reads settings that a user writes: YAML, checked by a pydantic model, each mistake one sentence.

Pieces that such models are made of are here too: a section that refuses unknown keys, a field that holds the name of a
registry's entry, and one that holds a pattern.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.core.registry import registry

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class RegisteredName:
    """A field that holds the name of a registry's entry, as in `Annotated[str, RegisteredName("pruner")]`.

    extra: names that are allowed without an entry, such as `none`.
    """

    kind: str
    extra: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A string, checked against the registry when a config is read."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The names an editor offers, and the kind of entry that they name."""
        return {"type": "string", "enum": [*self.extra, *registry(self.kind).names()], "x-registry": self.kind}

    def check(self, name: str) -> str:
        """The name; ValueError, which pydantic reports with the key, where no entry has it."""
        if name not in self.extra:
            try:
                registry(self.kind).get(name)
            except NmforgeError as error:
                raise ValueError(str(error)) from error
        return name


def _is_pattern(text: str) -> str:
    """The text; ValueError, which pydantic reports with the key, where it is no pattern."""
    try:
        Pattern.parse(text)
    except NmforgeError as error:
        raise ValueError(str(error)) from error
    return text


PatternName = Annotated[str, AfterValidator(_is_pattern)]


class Section(BaseModel):
    """A block of settings: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def validated(model: type[M], document: Any, name: str) -> M:
    """A parsed document as a model; raises NmforgeError that names the file `name`, the key and the remedy."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        if first["type"] == "extra_forbidden":
            raise NmforgeError(f"{name}: unknown key {key}; remove it or correct its spelling") from error
        if first["type"] == "value_error":  # a sentence of our own, with its remedy
            place = f"{name}: {key}: " if first["loc"] else f"{name}: "
            raise NmforgeError(place + first["msg"].removeprefix("Value error, ")) from error
        raise NmforgeError(f"{name}: {key}: {first['msg']}; correct this value") from error


def read_yaml(path: Path, what: str, remedy: str) -> Any:
    """The document in a YAML file; raises NmforgeError where it is missing, which `remedy` mends, or is not YAML.

    what: the kind of file, for the error, as in `config`.
    """
    if not path.exists():
        raise NmforgeError(f"{what} {path} is missing; {remedy}")
    try:
        return yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise NmforgeError(f"{what} {path} is not valid YAML ({error}); correct it") from error
