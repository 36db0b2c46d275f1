"""Cache states: the size of the cache, and the copies of weights that do not fit into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmforge.benchmarks import caches
from nmforge.core.errors import NmforgeError


def test_last_level_cache(tmp_path: Path) -> None:
    for index, size in enumerate(["32K", "512K", "32M"]):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        (folder / "size").write_text(size + "\n")
    assert caches.last_level_cache(tmp_path) == 32 * 2**20
    with pytest.raises(NmforgeError, match="lists no cache"):
        caches.last_level_cache(tmp_path / "nowhere")


def test_copies_exceed_the_cache_and_keep_to_the_cap() -> None:
    mib = 2**20
    assert caches.copies_needed("resident", mib, 32 * mib) == 1
    assert caches.copies_needed("streamed", 10 * mib, 32 * mib) == 20
    assert caches.copies_needed("streamed", 64 * mib, 8 * mib) == 2
    assert caches.copies_needed("streamed", 400 * mib, 32 * mib) is None
    assert caches.streaming_unsupported_reason(100 * mib) is None
    assert "a last-level cache of 480 MiB holds a part" in str(caches.streaming_unsupported_reason(480 * mib))
