"""The claim of speed for the matmul alone."""

from __future__ import annotations

from collections.abc import Iterator

from nmforge.reporting.claims.registry import REGISTRY, Claim
from nmforge.reporting.comparisons import Comparison, compare, measured_platforms, paper_path
from nmforge.reporting.paper import MATMUL
from nmforge.reporting.query import LIBRARY_FLOAT, LIBRARY_INT4, OURS_2OF4, OURS_INT4, Tables
from nmforge.reporting.verdicts import Entry

CLAIM = f"{MATMUL}x faster matmul"
NAME = "ours 2:4 INT4"
COMPARISONS = [
    Comparison(MATMUL, OURS_2OF4, OURS_INT4, NAME, "ours dense INT4", headline="many tokens"),
    Comparison(MATMUL, OURS_2OF4, LIBRARY_INT4, NAME, "the fastest library's dense INT4"),
    Comparison(MATMUL, OURS_2OF4, LIBRARY_FLOAT, NAME, "the fastest library's dense floats"),
]


def entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """The paper's unfused path on GPU and CPU, then our kernels on the CPU, and on a GPU if one was measured."""
    yield from paper_path(tables, here, CLAIM, MATMUL, "matmul")
    for platform in measured_platforms(tables):
        yield from compare(tables, here, CLAIM, COMPARISONS, platform)


REGISTRY.add(Claim("matmul", CLAIM, ("kernels",), entries, order=20))
