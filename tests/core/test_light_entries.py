"""A config is read in milliseconds: entries are listed without the libraries that they compute with."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from nmforge.core.registry import registry
entries = list(registry(sys.argv[1]))
print(*[entry.name for entry in entries])
assert all(entry.summary for entry in entries)
print(*sorted({"torch", "pandas", "matplotlib", "transformers", "datasets"} & set(sys.modules)))
"""
KINDS = ("pruner", "quantizer", "transform", "index_encoding", "corpus", "checkpoint_source")


@pytest.mark.parametrize("kind", KINDS)
def test_entries_are_listed_without_large_libraries(kind: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, kind], capture_output=True, text=True, timeout=60)
    names, loaded = done.stdout.split("\n", 1)
    assert len(names.split()) >= 2 and loaded == "\n", done.stderr
