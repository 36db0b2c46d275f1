"""The ledger as a table for a terminal and as Markdown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tabulate import SEPARATING_LINE, tabulate

from nmforge.reporting.markdown import markdown_table
from nmforge.reporting.paper import PAPER
from nmforge.reporting.verdicts import EXCEEDED, NOT_MEASURABLE, NOT_REACHED, REFUSED, REPRODUCED, WITHIN_NOISE

if TYPE_CHECKING:
    import pandas as pd

WIDTHS = {"claim": 24, "ours": 15, "platform (source)": 40, "baseline": 26, "verdict": None}  # characters at most
COLOURS = {
    REPRODUCED: "32",
    EXCEEDED: "36",
    NOT_REACHED: "31",
    WITHIN_NOISE: "33",
    REFUSED: "35",
    NOT_MEASURABLE: "2",
}
START, END = "<!-- ledger -->", "<!-- end of ledger -->"


def format_ledger(table: pd.DataFrame, *, colour: bool | None = None) -> str:
    """The ledger for a terminal: wrapped cells, a line after each claim, colour only on a terminal."""
    colour = sys.stdout.isatty() if colour is None else colour
    text = tabulate(
        list(_lines(table, colour)), list(WIDTHS), tablefmt="simple", disable_numparse=True,
        maxcolwidths=list(WIDTHS.values()), break_on_hyphens=False,
    )  # fmt: skip
    counts = table["verdict"].value_counts()
    total = ", ".join(f"{counts.get(name, 0)} {name}" for name in COLOURS)
    return f"Ledger of claims ({PAPER})\n\n{text}\n\n{total}"


def _lines(table: pd.DataFrame, colour: bool) -> Iterator[Any]:
    """Cells of every row; a claim is named once, in its first row."""
    for i, ((claim, claimed), rows) in enumerate(table.groupby(["claim", "claimed"], sort=False)):
        if i:
            yield SEPARATING_LINE
        heading = f"{claim} [{claimed}]"
        for row in rows.to_dict("records"):
            word = row["verdict"]
            coloured = f"\x1b[{COLOURS[word]}m{word}\x1b[0m" if colour else word
            yield [heading, row["ours"], f"{row['platform']}\n({row['source']})", row["baseline"], coloured]
            heading = ""


def markdown(table: pd.DataFrame) -> str:
    """The ledger as a Markdown table."""
    columns = ["claim", "claimed", "ours", "platform", "baseline", "verdict", "source"]
    rows = ([str(row[column]) for column in columns] for row in table.to_dict("records"))
    return markdown_table(columns, rows) + "\n"
