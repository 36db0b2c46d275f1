"""The ledger: each claim of the paper next to what the tables of this run say about it.

A verdict is computed from two numbers. Where a table or a row is missing, the row says which one, and that the claim is
not measurable here. The last rows are questions that the paper leaves open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from nmforge.core.lazy import pd
from nmforge.reporting.claims.registry import REGISTRY, Claim
from nmforge.reporting.verdicts import COLUMNS

if TYPE_CHECKING:
    from nmforge.reporting.query import Tables


def chosen_claims(names: Sequence[str] = ()) -> list[Claim]:
    """The claims of these names, all where there are none; in the registry's order.

    Raises NmforgeError for a name that no claim has.
    """
    wanted = {REGISTRY.get(name).name for name in names}
    return [claim for claim in REGISTRY if not wanted or claim.name in wanted]


def ledger_tables(names: Sequence[str] = ()) -> list[str]:
    """The tables that these claims read, each once; all claims where none is named."""
    return list(dict.fromkeys(table for claim in chosen_claims(names) for table in claim.tables))


def ledger(tables: Tables, *, here: str | None = None, names: Sequence[str] = ()) -> pd.DataFrame:
    """The ledger of claims.

    Args:
        tables: those of `ledger_tables` that this run has, by name.
        here: host name of this machine; numbers taken on it read `measured here`.
        names: claims of the registry `claim`; all where none is named.

    Returns:
        One row per claim, platform and baseline; columns as in `Entry`; claims in the registry's order.
    """
    rows = []
    for claim in chosen_claims(names):
        read = {table: tables.get(table, pd.DataFrame()) for table in claim.tables}
        rows += [asdict(entry) for entry in claim.entries(read, here)]
    return pd.DataFrame(rows, columns=COLUMNS)
