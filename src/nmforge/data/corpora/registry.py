"""Corpora: texts that a config can name; any other `text.source` is a local file (`data.corpus`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmforge.core.registry import Registry


@dataclass(frozen=True)
class Documents:
    """Documents of each side, which share none, and the revision they came from."""

    calibration: Sequence[str]
    evaluation: Sequence[str]
    revision: str


@dataclass(frozen=True)
class Corpus:
    """One corpus. load: (commit of a Hugging Face data set or None, folder that keeps downloads) -> its documents."""

    name: str
    summary: str
    load: Callable[[str | None, Path], Documents]


REGISTRY: Registry[Corpus] = Registry("corpus")


def alternate(documents: Sequence[str], revision: str) -> Documents:
    """Even documents calibrate, odd ones evaluate."""
    return Documents(documents[0::2], documents[1::2], revision)
