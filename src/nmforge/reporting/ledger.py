"""The ledger: each claim of arXiv 2512.24713 beside what the tables of this run say about it.

A verdict is computed from two numbers. Where a table or a row is missing the row says which, and that the
claim is not measurable here. The last rows are questions the paper does not ask of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict

import pandas as pd

from nmforge.reporting.claims.accelerator import llama_entries, pattern_entries, routed_entries
from nmforge.reporting.claims.accuracy import accuracy_entries, coherence_entries
from nmforge.reporting.claims.decode import bandwidth_entries, decode_entries
from nmforge.reporting.claims.entry import COLUMNS, Entry, Tables, verdict
from nmforge.reporting.claims.kernels import (
    end_to_end_entries,
    matmul_entries,
    rival_time_entries,
    sparser_entries,
    thread_entries,
)
from nmforge.reporting.claims.storage import storage_entries
from nmforge.reporting.claims.text import format_ledger, insert, markdown

__all__ = ["Entry", "format_ledger", "insert", "ledger", "markdown", "verdict"]

SECTIONS: list[Callable[[Tables, str | None], Iterator[Entry]]] = [
    storage_entries,
    matmul_entries,
    end_to_end_entries,
    llama_entries,
    pattern_entries,
    routed_entries,
    accuracy_entries,
    rival_time_entries,
    sparser_entries,
    thread_entries,
    decode_entries,
    bandwidth_entries,
    coherence_entries,
]


def ledger(tables: Tables, *, here: str | None = None) -> pd.DataFrame:
    """The ledger of claims.

    Args:
        tables: `accuracy`, `storage`, `kernels`, `fpga`, `coherence`, `scaling` and `decode`, each optional.
        here: host name of this machine; numbers taken on it read `measured here`.

    Returns:
        One row per claim, platform and baseline, columns as in `Entry`, in the order of `SECTIONS`.
    """
    return pd.DataFrame([asdict(entry) for section in SECTIONS for entry in section(tables, here)], columns=COLUMNS)
