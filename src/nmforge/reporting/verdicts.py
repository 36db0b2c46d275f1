"""One row of the ledger, and how its verdict is computed."""

from __future__ import annotations

import math
from dataclasses import dataclass

REPRODUCED, EXCEEDED, NOT_REACHED = "reproduced", "exceeded", "not reached"
NOT_MEASURABLE = "not measurable here"
TOLERANCE = 0.05  # within 5 % of the claimed factor counts as reproduced


@dataclass(frozen=True)
class Entry:
    """One row of the ledger. `claimed` and `ours` are texts; the numbers that the verdict compares are their values."""

    claim: str
    claimed: str
    ours: str
    platform: str
    baseline: str
    verdict: str
    source: str
    claimed_value: float = math.nan
    ours_value: float = math.nan


COLUMNS = list(Entry.__dataclass_fields__)


def verdict(ours: float, claimed: float) -> str:
    """Compare a factor with the claimed one: within TOLERANCE is `reproduced`, above it `exceeded`."""
    if math.isnan(ours):
        return NOT_MEASURABLE
    if ours > claimed * (1 + TOLERANCE):
        return EXCEEDED
    return REPRODUCED if ours >= claimed * (1 - TOLERANCE) else NOT_REACHED


def holds(condition: bool) -> str:
    """The verdict of a claim that either holds or does not."""
    return REPRODUCED if condition else NOT_REACHED


def factor(claim: str, claimed: float, ours: float, platform: str, baseline: str, source: str) -> Entry:
    """A row whose verdict compares two factors."""
    texts = (f"{claimed:.3g}x", f"{ours:.2f}x")
    return Entry(claim, *texts, platform, baseline, verdict(ours, claimed), source, claimed, ours)


def missing(claim: str, claimed: str | float, platform: str, reason: str) -> Entry:
    """A row for a claim that no measurement of this run speaks to. claimed: a text, or a factor."""
    text = claimed if isinstance(claimed, str) else f"{claimed:.3g}x"
    return Entry(claim, text, "-", platform, "-", NOT_MEASURABLE, reason)
