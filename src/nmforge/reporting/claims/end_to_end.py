"""The claim of latency for dequantization and matmul together."""

from __future__ import annotations

from collections.abc import Iterator

from nmforge.reporting.claims.registry import REGISTRY, Claim
from nmforge.reporting.comparisons import Comparison, compare, measured_platforms, paper_path
from nmforge.reporting.paper import END_TO_END
from nmforge.reporting.query import OURS_2OF4, OURS_INT4, Query, Tables
from nmforge.reporting.verdicts import Entry

CLAIM = f"{END_TO_END}x lower end-to-end latency"
UNFUSED = Query("baseline", "dense", (4,), "end_to_end")
# Our kernels need no separate dequantization: their matmul is their end-to-end time.
NAME = "ours 2:4 INT4, fused"
COMPARISONS = [
    Comparison(END_TO_END, OURS_2OF4, OURS_INT4, NAME, "ours dense INT4, fused", headline="one token"),
    Comparison(END_TO_END, OURS_2OF4, UNFUSED, NAME, "dense INT4, dequantize + matmul, which is not fused"),
]


def entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """The paper's unfused path; our fused kernel against our dense one, then against that path with dense weights."""
    yield from paper_path(tables, here, CLAIM, END_TO_END, "end_to_end")
    for platform in measured_platforms(tables):
        yield from compare(tables, here, CLAIM, COMPARISONS, platform)


REGISTRY.add(Claim("end_to_end", CLAIM, ("kernels",), entries, order=30))
