"""The ledger as a terminal table and as Markdown."""

from __future__ import annotations

import sys
import textwrap

import pandas as pd

from nmforge.core.errors import NmforgeError
from nmforge.reporting.claims.entry import EXCEEDED, NOT_MEASURABLE, NOT_REACHED, PAPER, REPRODUCED

WIDTHS = (22, 46, 34, 20)  # ours | platform | baseline | verdict
COLOURS = {REPRODUCED: "32", EXCEEDED: "36", NOT_REACHED: "31", NOT_MEASURABLE: "2"}


def format_ledger(table: pd.DataFrame, *, colour: bool | None = None) -> str:
    """The ledger for a terminal: one heading per claim, wrapped cells, colour only on a terminal."""
    colour = sys.stdout.isatty() if colour is None else colour
    width = sum(WIDTHS) + 2 * len(WIDTHS) + 2
    lines = [
        f"Ledger of claims ({PAPER})",
        "=" * width,
        _line(("ours", "platform", "against", "verdict"), False),
    ]
    for (claim, claimed), rows in table.groupby(["claim", "claimed"], sort=False):
        lines += ["-" * width, f"{claim}   [{claimed}]"]
        for row in rows.to_dict("records"):
            lines.append(_line((row["ours"], row["platform"], row["baseline"], row["verdict"]), colour))
            lines.append(" " * (WIDTHS[0] + 4) + row["source"])
    counts = table["verdict"].value_counts()
    total = ", ".join(f"{counts.get(name, 0)} {name}" for name in COLOURS)
    return "\n".join([*lines, "=" * width, total])


def _line(cells: tuple[str, ...], colour: bool) -> str:
    columns = [textwrap.wrap(cell, w) or [""] for cell, w in zip(cells, WIDTHS, strict=True)]
    height = max(map(len, columns))
    out = []
    for i in range(height):
        texts = [(c[i] if i < len(c) else "").ljust(w) for c, w in zip(columns, WIDTHS, strict=True)]
        if colour and texts[-1].strip():
            texts[-1] = f"\x1b[{COLOURS[cells[-1]]}m{texts[-1].rstrip()}\x1b[0m"
        out.append(("  " + "  ".join(texts)).rstrip())
    return "\n".join(out)


START, END = "<!-- ledger -->", "<!-- end of ledger -->"


def insert(document: str, ledger: str, name: str) -> str:
    """A Markdown document with the text between the two ledger marks replaced; NmforgeError where it has none."""
    before, start, rest = document.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise NmforgeError(f"{name} has no ledger marks; add a line {START} and a line {END}")
    return f"{before}{START}\n\n{ledger}\n{END}{after}"


def markdown(table: pd.DataFrame) -> str:
    """The ledger as a Markdown table for the README."""
    names = ["claim", "claimed", "ours", "platform", "baseline", "verdict", "source"]
    lines = [
        "| " + " | ".join(["against" if n == "baseline" else n for n in names]) + " |",
        "|---" * len(names) + "|",
    ]
    for row in table.to_dict("records"):
        lines.append("| " + " | ".join(str(row[name]).replace("|", "\\|") for name in names) + " |")
    return "\n".join(lines) + "\n"
