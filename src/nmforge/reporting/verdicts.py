"""One row of the ledger, and how its verdict is computed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

REPRODUCED, EXCEEDED, NOT_REACHED = "reproduced", "exceeded", "not reached"
WITHIN_NOISE, REFUSED = "within noise", "refused"
NOT_MEASURABLE = "not measurable here"
TOLERANCE = 0.05  # within 5 % of the claimed factor counts as reproduced


@dataclass(frozen=True)
class Interval:
    """A measured number, the interval that repeats of it leave (95 %), and what bytes or multipliers allow at most."""

    value: float
    low: float
    high: float
    limit: float = math.inf

    def __str__(self) -> str:
        return f"{self.value:.2f}x [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Entry:
    """One row of the ledger. `claimed` and `ours` are texts; the numbers that the verdict compares are their values.

    low, high: interval of `ours_value`; none where the number is exact or was measured once. headline: the row answers
    a claim of the paper by one effect, so it stands in the README.
    """

    claim: str
    claimed: str
    ours: str
    platform: str
    baseline: str
    verdict: str
    source: str
    claimed_value: float = math.nan
    ours_value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    headline: bool = False


COLUMNS = list(Entry.__dataclass_fields__)


def verdict(ours: float | Interval, claimed: float) -> str:
    """Compare a factor with the claimed one: within TOLERANCE is `reproduced`, above it `exceeded`.

    Of an interval the whole must clear the bar, else it is `within noise`. One that lies beyond its physical limit
    cannot be true, so it is `refused`.
    """
    if isinstance(ours, Interval):
        return _verdict_of_interval(ours, claimed)
    if math.isnan(ours):
        return NOT_MEASURABLE
    if ours > claimed * (1 + TOLERANCE):
        return EXCEEDED
    return REPRODUCED if ours >= claimed * (1 - TOLERANCE) else NOT_REACHED


def _verdict_of_interval(ours: Interval, claimed: float) -> str:
    least, most = claimed * (1 - TOLERANCE), claimed * (1 + TOLERANCE)
    if ours.low > ours.limit:
        return REFUSED
    if ours.high < least:
        return NOT_REACHED
    if ours.low < least:
        return WITHIN_NOISE
    return EXCEEDED if ours.low > most else REPRODUCED


def holds(condition: bool) -> str:
    """The verdict of a claim that either holds or does not."""
    return REPRODUCED if condition else NOT_REACHED


def factor(claim: str, claimed: float, ours: float | Interval, platform: str, baseline: str, source: str) -> Entry:
    """A row whose verdict compares two factors."""
    text = str(ours) if isinstance(ours, Interval) else f"{ours:.2f}x"
    word = verdict(ours, claimed)
    if isinstance(ours, Interval):
        numbers = (claimed, ours.value, ours.low, ours.high)
        return Entry(claim, f"{claimed:.3g}x", text, platform, baseline, word, source, *numbers)
    return Entry(claim, f"{claimed:.3g}x", text, platform, baseline, word, source, claimed, ours)


def headline(entry: Entry) -> Entry:
    """The same row, marked as the answer to a claim of the paper."""
    return replace(entry, headline=True)


def missing(claim: str, claimed: str | float, platform: str, reason: str) -> Entry:
    """A row for a claim that no measurement of this run speaks to. claimed: a text, or a factor."""
    text = claimed if isinstance(claimed, str) else f"{claimed:.3g}x"
    return Entry(claim, text, "-", platform, "-", NOT_MEASURABLE, reason)
