"""How format version 1 of the artifact spells a design point and its training in the header.

Format version 1 fixes these words, so that every artifact of that version is read. A transform without a flag of its
own is listed under `transforms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nmforge.core.design import DesignPoint

FLAGS = ("awq", "permute")  # transforms that are a true or false of their own
RECOVERY = {"hard_label_weight": "truth", "self_generated": "self_text", "sequences": "windows"}


def design_header(point: DesignPoint) -> dict[str, Any]:
    """The header's field `design`."""
    fields = {**asdict(point), "pattern": str(point.pattern)}
    listed = [name for name in fields.pop("transforms") if name not in FLAGS]
    flags = {name: name in point.transforms for name in FLAGS}
    return {**fields, **flags, **({"transforms": listed} if listed else {})}


def header_transforms(design: Mapping[str, Any]) -> list[str]:
    """The transforms of a header's field `design`."""
    return [name for name in FLAGS if design.get(name)] + list(design.get("transforms", []))


def recovery_header(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The header's field `recovery` from what a training was given, by the names of the config."""
    return {RECOVERY.get(name, name): value for name, value in fields.items()}
