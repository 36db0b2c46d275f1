"""The tables of a run, explained as Markdown from the registry `table`."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from nmforge.reporting.markdown import markdown_table
from nmforge.reporting.tables.registry import REGISTRY, Table

WIDTH = 120  # of a line of prose
HEAD = """# Tables

Every number of a run is a row of a table, in `results/tables` as Parquet and CSV. A cell that a row does not need is
empty. Figures and the ledger read these tables only. This page is made by `nmforge tables`.
"""


def describe_tables(names: Sequence[str] = ()) -> str:
    """A section for each of the tables of these names; a page with all of them where there are none.

    Raises NmforgeError for a name that no table has.
    """
    if names:
        return "\n".join(_section(REGISTRY.get(name)) for name in names)
    return "\n".join([HEAD, *map(_section, REGISTRY)])


def _section(table: Table) -> str:
    """What a row is, where rows come from, and the columns."""
    origin = "computed from other tables" if table.derived else "collected from points"
    columns = ([f"`{name}`", column.meaning, column.unit] for name, column in table.columns.items())
    meaning = fill(f"One row: {table.summary}. Stage `{table.stage}`, {origin}.", WIDTH, break_on_hyphens=False)
    heading = f"## {table.name}\n\n{meaning}"
    return f"{heading}\n\n{markdown_table(['column', 'meaning', 'unit'], columns)}\n"
