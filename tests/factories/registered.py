"""An entry in a registry for the time of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nmforge.core.registry import Registry


@contextmanager
def registered(registry: Registry[Any], entry: Any) -> Iterator[None]:
    """Add an entry and take it out again."""
    registry.names()  # loads the others first
    registry.add(entry)
    try:
        yield
    finally:
        del registry._entries[entry.name], registry._files[entry.name]
