"""Documents for calibration and for evaluation: of a named corpus, or of a local file."""

from __future__ import annotations

import re
from pathlib import Path

from nmforge.core.errors import NmforgeError
from nmforge.data.corpora.registry import REGISTRY, Documents, alternate
from nmforge.io.hashing import sha256_bytes


def load_corpus(source: str, revision: str | None, cache: Path) -> Documents:
    """The documents of a source; raises NmforgeError naming text.source where it is neither known nor a file."""
    if source in REGISTRY:
        return REGISTRY.get(source).load(revision, cache)
    if Path(source).is_file():
        return read_text_file(Path(source))
    raise NmforgeError(
        f"text.source {source!r} is neither a file nor one of {', '.join(REGISTRY.names())}; correct it in the config"
    )


def read_text_file(path: Path) -> Documents:
    """A UTF-8 file; paragraphs between blank lines are the documents, even ones for calibration."""
    text = path.read_text(encoding="utf-8")
    paragraphs = [part for part in re.split(r"\n\s*\n", text) if part.strip()]
    return alternate(paragraphs, f"sha256:{sha256_bytes(text.encode())[:16]}")
