"""The ledger as text: complete, as wide as a terminal, and put into a document."""

from __future__ import annotations

import pandas as pd
import pytest
from factories.ledgers import KERNELS

from nmforge.core.errors import NmforgeError
from nmforge.reporting.ledger import ledger
from nmforge.reporting.ledger_text import END, START, format_ledger, markdown
from nmforge.reporting.markdown import insert
from nmforge.reporting.verdicts import EXCEEDED, NOT_MEASURABLE, NOT_REACHED, REPRODUCED

TABLE = ledger({"kernels": pd.DataFrame(KERNELS)})


def test_the_terminal_table_has_every_word_in_80_columns() -> None:
    plain = format_ledger(TABLE, colour=False)
    assert "\x1b" not in plain and max(map(len, plain.splitlines())) <= 80
    for column in ("claim", "ours", "platform", "baseline", "verdict", "source"):
        for word in " ".join(TABLE[column]).split():
            assert word in plain or len(word) > 26, word
    counted = TABLE["verdict"].value_counts()
    for word in (REPRODUCED, EXCEEDED, NOT_REACHED, NOT_MEASURABLE):
        assert f"{counted.get(word, 0)} {word}" in " ".join(plain.splitlines()[-2:])


def test_a_claim_is_named_once_above_its_rows() -> None:
    lines = format_ledger(TABLE, colour=False).splitlines()
    first, second = list(dict.fromkeys(TABLE["claim"]))[:2]
    assert sum(line.startswith(first) for line in lines) == 1
    start, end = (next(i for i, line in enumerate(lines) if line.startswith(claim)) for claim in (first, second))
    verdicts = TABLE[TABLE["claim"] == first]["verdict"]
    assert sum(line[19:].startswith(tuple(verdicts)) for line in lines[start:end]) == len(verdicts)


def test_only_verdicts_are_coloured_and_only_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    coloured = format_ledger(TABLE, colour=True)
    assert coloured.count("\x1b[0m") == len(TABLE)
    assert "\x1b[36mexceeded\x1b[0m" in coloured
    assert "\x1b" not in format_ledger(TABLE)


def test_markdown_has_a_table_for_each_claim_and_a_line_a_row() -> None:
    sections = markdown(TABLE).split("### ")[1:]
    claims = list(TABLE.groupby(["claim", "claimed"], sort=False))
    assert len(sections) == len(claims)
    for section, ((claim, _), rows) in zip(sections, claims, strict=True):
        lines = section.splitlines()
        cells = [line for line in lines if line.startswith("|")]
        assert lines[0].startswith(claim) and len(cells) == len(rows) + 2
        assert all(line.count("|") == 6 for line in cells)
        first = rows.iloc[0]
        assert cells[2].startswith(f"| {first['ours']} | {first['verdict']} | {first['platform']} | ")
    assert "a\\|b" in markdown(TABLE.assign(ours="a|b"))


def test_the_ledger_replaces_the_marked_part_of_a_document() -> None:
    document = "# title\n<!-- ledger -->\nold\n<!-- end of ledger -->\nrest\n"
    wanted = "# title\n<!-- ledger -->\n\n| new |\n\n<!-- end of ledger -->\nrest\n"
    once = insert(document, "| new |\n", "README.md", (START, END))
    assert once == wanted
    assert insert(once, "| new |\n", "README.md", (START, END)) == wanted
    with pytest.raises(NmforgeError, match=r"README.md has no such marks; add a line <!-- ledger -->"):
        insert("no marks", "| new |\n", "README.md", (START, END))
