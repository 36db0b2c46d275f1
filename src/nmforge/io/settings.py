"""Reads settings that a user writes: YAML, checked by a pydantic model, each mistake one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from nmforge.core.errors import NmforgeError

M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], document: Any, name: str) -> M:
    """A parsed document as a model; raises NmforgeError that names the file `name`, the key and the remedy."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        if first["type"] == "extra_forbidden":
            raise NmforgeError(f"{name}: unknown key {key}; remove it or correct its spelling") from error
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
