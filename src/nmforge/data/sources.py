"""Documents for calibration and for evaluation, from a wheel, a local file or the hub."""

from __future__ import annotations

import bz2
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from nmforge.core.errors import NmforgeError
from nmforge.io.hashing import sha256_bytes
from nmforge.io.wheels import WheelFile, fetch

ARTICLES = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
WIKIPEDIA = WheelFile(
    "gensim==4.4.0",
    "91a7fa5e814e7b1bad4b2dffa8d62c1e55410d5cbdf930714c1997ffb4404db8",
    f"gensim/test/test_data/{ARTICLES}",
    "manylinux_2_28_x86_64",
)


@dataclass(frozen=True)
class Corpus:
    """Documents of each side and the revision they came from."""

    calibration: list[str]
    evaluation: list[str]
    revision: str


def alternate(documents: list[str], revision: str) -> Corpus:
    """Even documents calibrate, odd ones evaluate."""
    return Corpus(documents[0::2], documents[1::2], revision)


def _wikipedia(_source: str, _revision: str | None, cache: Path) -> Corpus:
    """106 English Wikipedia articles, markup stripped."""
    packed = fetch(WIKIPEDIA, cache / ARTICLES)
    return alternate(list(wikipedia_articles(packed)), WIKIPEDIA.requirement)


def wikipedia_articles(packed: Path) -> list[str]:
    """Plain text of every article (redirects left out) of a bz2 MediaWiki dump."""
    import mwparserfromhell

    with bz2.open(packed) as handle:
        pages = [node for _, node in ElementTree.iterparse(handle) if node.tag.endswith("}page")]
    texts = [page.findtext(".//{*}text") or "" for page in pages if page.find("{*}redirect") is None]
    return [mwparserfromhell.parse(text).strip_code() for text in texts if text]


def _local_file(path: Path) -> Corpus:
    """A UTF-8 file; paragraphs between blank lines are the documents."""
    text = path.read_text(encoding="utf-8")
    paragraphs = [part for part in re.split(r"\n\s*\n", text) if part.strip()]
    return alternate(paragraphs, f"sha256:{sha256_bytes(text.encode())[:16]}")


def _from_hub(source: str, *name: str, **options: Any) -> Any:
    """A data set of the Hugging Face hub or its local cache; raises NmforgeError where it is not in reach."""
    from datasets import load_dataset

    try:
        return load_dataset(*name, **options)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise NmforgeError(
            f"text.source {source!r} cannot be loaded ({reason}); put the Hugging Face hub in reach, "
            "or name a local text file"
        ) from error


def _wikitext(_source: str, revision: str | None, _cache: Path) -> Corpus:
    """WikiText-2 raw: the train split calibrates, the test split evaluates."""
    data = _from_hub("wikitext", "Salesforce/wikitext", "wikitext-2-raw-v1", revision=revision)
    return Corpus(list(data["train"]["text"]), list(data["test"]["text"]), revision or "main")


def _c4(_source: str, revision: str | None, _cache: Path) -> Corpus:
    """C4 English: the first train shard calibrates, the first validation shard evaluates."""
    files = {
        "train": "en/c4-train.00000-of-01024.json.gz",
        "validation": "en/c4-validation.00000-of-00008.json.gz",
    }
    data = _from_hub("c4", "allenai/c4", data_files=files, revision=revision)
    return Corpus(list(data["train"]["text"][:20000]), list(data["validation"]["text"][:2000]), revision or "main")


SOURCES: dict[str, Callable[[str, str | None, Path], Corpus]] = {
    "wikipedia-wheel": _wikipedia,
    "wikitext": _wikitext,
    "c4": _c4,
}


def load_corpus(source: str, revision: str | None, cache: Path) -> Corpus:
    """The corpus of a source; raises NmforgeError naming text.source where it is neither known nor a file."""
    if source in SOURCES:
        return SOURCES[source](source, revision, cache)
    if Path(source).is_file():
        return _local_file(Path(source))
    raise NmforgeError(
        f"text.source {source!r} is neither a file nor one of {', '.join(SOURCES)}; correct it in the config"
    )
