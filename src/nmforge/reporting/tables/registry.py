"""The registry of tables: each module of this package adds one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nmforge.core.registry import Registry


@dataclass(frozen=True)
class Column:
    """What a column means, and the unit of its numbers; empty for text, counts and ratios."""

    meaning: str
    unit: str = ""


@dataclass(frozen=True)
class Table:
    """One table, `results/tables/<name>.parquet` and `.csv`.

    name: of its files. summary: what one row is, one line. stage: the stage of the pipeline that its rows come from.
    derived: whether it is computed from other tables; otherwise it is collected from points.
    columns: every column that a row may have, in order; a cell that a row does not need is empty.
    order: place in lists; a table that names none comes last.
    """

    name: str
    summary: str
    stage: str
    columns: Mapping[str, Column]
    derived: bool = False
    order: int = 1000

    def undocumented(self, found: Iterable[str]) -> list[str]:
        """Those of the columns found that `columns` does not explain."""
        return [column for column in found if column not in self.columns]


REGISTRY: Registry[Table] = Registry("table")
