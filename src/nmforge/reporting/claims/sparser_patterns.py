"""Does a quarter of the weights stream faster than half of them?"""

from __future__ import annotations

from collections.abc import Iterator

from nmforge.reporting.claims.registry import REGISTRY, Claim
from nmforge.reporting.comparisons import conditions, measured_platforms, square_kernels
from nmforge.reporting.query import OURS_2OF4, Query, Tables, origin, pair
from nmforge.reporting.verdicts import Entry, factor, missing

CLAIM = "a quarter of the weights streams faster than half"
BAR = 1.6  # of at most 2, since the bytes of the scales stay
PATTERNS = {"CPU": ("1:4", "2:8"), "GPU": ("1:4",)}


def entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """One token, both kernels of one run, per platform."""
    for platform in measured_platforms(tables):
        kernels = square_kernels(tables, platform, cache="streamed", m=1)
        for pattern in PATTERNS[platform]:
            found = pair(kernels, Query("nmforge", pattern, (4,)), OURS_2OF4)
            name = f"{platform}, ours {pattern} INT4"
            if found is None:
                reason = f"no run holds both ours {pattern} INT4 and ours 2:4 INT4"
                yield missing(CLAIM, BAR, f"{name}, M=1, streamed", reason)
                continue
            source = origin([found.row, found.baseline], here)
            yield factor(CLAIM, BAR, found.interval, f"{name}, {conditions(found.row)}", "ours 2:4 INT4", source)


REGISTRY.add(Claim("sparser_patterns", CLAIM, ("kernels",), entries, order=90))
