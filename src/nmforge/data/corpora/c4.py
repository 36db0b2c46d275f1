"""C4 English: the first train shard calibrates, the first validation shard evaluates."""

from __future__ import annotations

from pathlib import Path

from nmforge.data.corpora._hub import load_from_hub
from nmforge.data.corpora.registry import REGISTRY, Corpus, Documents

NAME = "c4"
FILES = {"train": "en/c4-train.00000-of-01024.json.gz", "validation": "en/c4-validation.00000-of-00008.json.gz"}
CALIBRATION, EVALUATION = 20_000, 2_000  # documents taken


def load(revision: str | None, _cache: Path) -> Documents:
    """From the hub."""
    data = load_from_hub(NAME, "allenai/c4", data_files=FILES, revision=revision)
    train, validation = (data[split]["text"] for split in FILES)
    return Documents(list(train[:CALIBRATION]), list(validation[:EVALUATION]), revision or "main")


REGISTRY.add(Corpus(NAME, "C4 English, from the Hugging Face hub", load))
