"""How close does one token's matmul come to the rate at which memory is read?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nmforge.reporting.claims.registry import REGISTRY, Claim
from nmforge.reporting.comparisons import SIZE, conditions
from nmforge.reporting.query import OURS_2OF4, READ_2OF4, Tables, at, most_threads, on_platform, origin, pair
from nmforge.reporting.verdicts import Entry, missing, verdict

CLAIM = "one token's matmul runs at the rate of memory"
BAR = 0.85  # ours: the share of the rate of a plain read of the same bytes
CLAIMED = f"our bar: {BAR:.0%}"


def entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Our 2:4 INT4 kernel at M = 1 against a read of its bytes that was alternated with it."""
    kernels = at(on_platform(tables["kernels"], "CPU"), n=SIZE, k=SIZE, cache="streamed", m=1)
    found = pair(most_threads(kernels), OURS_2OF4, READ_2OF4)
    if found is None:
        yield missing(CLAIM, CLAIMED, "CPU", "no run holds a 2:4 matmul and a read of its bytes")
        return
    where, source = f"CPU, ours 2:4 INT4, {conditions(found.row)}", origin([found.row, found.baseline], here)
    share = replace(found.interval, limit=1.0)  # no kernel takes its bytes faster than they can be read
    text = f"{share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"
    numbers = (BAR, share.value, share.low, share.high)
    yield Entry(CLAIM, CLAIMED, text, where, "a read of the same bytes", verdict(share, BAR), source, *numbers)


REGISTRY.add(Claim("memory_rate", CLAIM, ("kernels",), entries, order=120))
