"""The ledger as a table for a terminal and as Markdown."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from nmforge.reporting.markdown import markdown_table, plain_text
from nmforge.reporting.paper import PAPER
from nmforge.reporting.verdicts import EXCEEDED, NOT_MEASURABLE, NOT_REACHED, REFUSED, REPRODUCED, WITHIN_NOISE

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 80  # of a terminal
MEASURED, VERDICT = 17, len(NOT_MEASURABLE)
WHERE = WIDTH - MEASURED - VERDICT - 4
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
    """The ledger for a terminal of 80 columns, a block for each claim; colour only on a terminal."""
    colour = sys.stdout.isatty() if colour is None else colour
    blocks = "\n\n".join("\n".join(_block(heading, rows, colour)) for heading, rows in _by_claim(table))
    counts = table["verdict"].value_counts()
    total = ", ".join(f"{counts.get(name, 0)} {name}" for name in COLOURS)
    title = textwrap.fill(f"Ledger of claims ({PAPER})", WIDTH)
    return f"{title}\n\n{blocks}\n\n{textwrap.fill(total, WIDTH)}"


def _by_claim(table: pd.DataFrame) -> Iterator[tuple[str, list[dict[Any, Any]]]]:
    """Claim and what is claimed, and the rows of both."""
    for (claim, claimed), rows in table.groupby(["claim", "claimed"], sort=False):
        yield f"{claim} [{claimed}]", rows.to_dict("records")


def _block(heading: str, rows: list[dict[Any, Any]], colour: bool) -> Iterator[str]:
    """Lines of one claim: the heading, then measured, verdict and conditions of every row next to each other."""
    yield textwrap.fill(heading, WIDTH)
    yield "-" * WIDTH
    for row in rows:
        where = f"{row['platform']}{_against(row)} ({row['source']})"
        cells = zip_longest(_wrap(row["ours"], MEASURED), [row["verdict"]], _wrap(where, WHERE), fillvalue="")
        for measured, word, conditions in cells:
            verdict = f"{word:{VERDICT}}"
            if colour and word:
                verdict = f"\x1b[{COLOURS[word]}m{word}\x1b[0m" + " " * (VERDICT - len(word))
            yield f"{measured:{MEASURED}}  {verdict}  {conditions}".rstrip()


def _against(row: dict[Any, Any]) -> str:
    """The baseline; nothing where the row has none."""
    return "" if row["baseline"] == "-" else f"; against {row['baseline']}"


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)


def markdown(table: pd.DataFrame) -> str:
    """The ledger as Markdown: a heading and a table for each claim."""
    columns = ["ours", "verdict", "platform", "baseline", "source"]
    return "\n".join(
        f"### {plain_text(heading)}\n\n{markdown_table(columns, ([str(row[c]) for c in columns] for row in rows))}\n"
        for heading, rows in _by_claim(table)
    )
