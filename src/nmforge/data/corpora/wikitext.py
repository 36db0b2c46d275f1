"""WikiText-2 raw: the train split calibrates, the test split evaluates."""

from __future__ import annotations

from pathlib import Path

from nmforge.data.corpora._hub import load_from_hub
from nmforge.data.corpora.registry import REGISTRY, Corpus, Documents

NAME = "wikitext"


def load(revision: str | None, _cache: Path) -> Documents:
    """From the hub."""
    data = load_from_hub(NAME, "Salesforce/wikitext", "wikitext-2-raw-v1", revision=revision)
    return Documents(list(data["train"]["text"]), list(data["test"]["text"]), revision or "main")


REGISTRY.add(Corpus(NAME, "WikiText-2 raw, from the Hugging Face hub", load))
