"""Is our 2:4 INT4 kernel at least as fast as our dense INT3 kernel, which reads about as many bytes?"""

from __future__ import annotations

from collections.abc import Iterator

from nmforge.reporting.claims.registry import REGISTRY, Claim
from nmforge.reporting.comparisons import Comparison, compare, measured_platforms
from nmforge.reporting.query import OURS_2OF4, OURS_INT3, Tables
from nmforge.reporting.verdicts import Entry

CLAIM = "2:4 INT4 as fast as dense INT3 of equal storage"
COMPARISON = Comparison(1.0, OURS_2OF4, OURS_INT3, "ours 2:4 INT4", "ours dense INT3")


def entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """The two kernels of one run, per platform."""
    for platform in measured_platforms(tables):
        yield from compare(tables, here, CLAIM, [COMPARISON], platform)


REGISTRY.add(Claim("int3_speed", CLAIM, ("kernels",), entries, order=80))
