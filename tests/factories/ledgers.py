"""Ledgers of a few rows."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from factories.rows import Row, kernel_row

from nmforge.reporting.ledger import ledger

KERNELS = [
    kernel_row("torch-fp32", "library", "dense", 32, 800.0),
    kernel_row("torch-bf16", "library", "dense", 16, 900.0),
    kernel_row("ort", "library", "dense", 4, 180.0),
    kernel_row("ours-dense-int4", "nmforge", "dense", 4, 171.0),
    kernel_row("ours-dense-int3", "nmforge", "dense", 3, 125.0),
    kernel_row("ours-2:4-int4", "nmforge", "2:4", 4, 100.0, weight_bytes=4096 * 4096 * 3.2 / 8),
    kernel_row("unfused", "baseline", "dense", 4, 1000.0),
    kernel_row("unfused", "baseline", "2:4", 4, 1000.0),
    kernel_row("unfused", "baseline", "dense", 4, 2000.0, stage="end_to_end"),
    kernel_row("unfused", "baseline", "2:4", 4, 2100.0, stage="end_to_end"),
]


def entries_of(name: str, platform: str = "", **tables: Sequence[Row]) -> pd.DataFrame:
    """Ledger rows of one claim of the registry whose platform contains the given words."""
    table = ledger({table: pd.DataFrame(rows) for table, rows in tables.items()}, names=[name])
    return table[table["platform"].str.contains(platform, regex=False)]
