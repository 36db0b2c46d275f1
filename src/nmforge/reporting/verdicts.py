"""One row of the ledger, and how its verdict is computed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

PAPER = "arXiv 2512.24713"
REPRODUCED, EXCEEDED, NOT_REACHED = "reproduced", "exceeded", "not reached"
NOT_MEASURABLE = "not measurable here"
TOLERANCE = 0.05  # within 5 % of the claimed factor counts as reproduced

STORAGE, MATMUL, END_TO_END, LLAMA = 4.0, 1.71, 1.29, 1.36
USABLE = 2.0  # our bar for "the model still works": perplexity at most twice the dense one

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Entry:
    """One row of the ledger. `ours` and `claimed` are texts; the values behind them ride along."""

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


def factor(claim: str, claimed: float, ours: float, platform: str, baseline: str, source: str) -> Entry:
    """A row whose verdict compares two factors."""
    texts = (f"{claimed:.3g}x", f"{ours:.2f}x")
    return Entry(claim, *texts, platform, baseline, verdict(ours, claimed), source, claimed, ours)


def missing(claim: str, claimed: str, platform: str, reason: str) -> Entry:
    """A row for a claim that no measurement of this run speaks to."""
    return Entry(claim, claimed, "-", platform, "-", NOT_MEASURABLE, reason)


def table_of(tables: Tables, name: str) -> pd.DataFrame:
    """A table by name; empty where the run has none."""
    return tables.get(name, pd.DataFrame())
