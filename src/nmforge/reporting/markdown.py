"""Markdown: tables, and text that shows as it is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from nmforge.core.errors import NmforgeError


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table without padding, so that a changed cell changes one line; `|` is escaped."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    text: str = tabulate(cells, columns, tablefmt="github", stralign=None, disable_numparse=True)
    return text


def plain_text(text: str) -> str:
    """One line of Markdown that shows the text as it is."""
    words = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|" else c for c in words)


def insert(document: str, text: str, name: str, marks: tuple[str, str]) -> str:
    """A Markdown document with what lies between two marks replaced by the text; NmforgeError where it has no marks."""
    start, end = marks
    before, opened, rest = document.partition(start)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise NmforgeError(f"{name} has no such marks; add a line {start} and a line {end}")
    return f"{before}{start}\n\n{text}\n{end}{after}"
