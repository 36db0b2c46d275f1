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


def test_the_terminal_table_has_every_word_in_132_columns() -> None:
    plain = format_ledger(TABLE, colour=False)
    assert "\x1b" not in plain and max(map(len, plain.splitlines())) <= 132
    for column in ("claim", "ours", "platform", "baseline", "verdict", "source"):
        for word in " ".join(TABLE[column]).split():
            assert word in plain or len(word) > 26, word
    counted = TABLE["verdict"].value_counts()
    for word in (REPRODUCED, EXCEEDED, NOT_REACHED, NOT_MEASURABLE):
        assert f"{counted.get(word, 0)} {word}" in plain.splitlines()[-1]


def test_only_verdicts_are_coloured_and_only_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    coloured = format_ledger(TABLE, colour=True)
    assert coloured.count("\x1b[0m") == len(TABLE)
    assert "\x1b[36mexceeded\x1b[0m" in coloured
    assert "\x1b" not in format_ledger(TABLE)


def test_markdown_has_a_line_a_row_and_no_padding() -> None:
    lines = markdown(TABLE).splitlines()
    assert len(lines) == len(TABLE) + 2 and all(line.count("|") == 8 for line in lines)
    first = TABLE.iloc[0]
    assert lines[2].startswith(f"| {first['claim']} | {first['claimed']} | {first['ours']} | {first['platform']} | ")
    assert "a\\|b" in markdown(TABLE.assign(ours="a|b"))


def test_the_ledger_replaces_the_marked_part_of_a_document() -> None:
    document = "# title\n<!-- ledger -->\nold\n<!-- end of ledger -->\nrest\n"
    wanted = "# title\n<!-- ledger -->\n\n| new |\n\n<!-- end of ledger -->\nrest\n"
    once = insert(document, "| new |\n", "README.md", (START, END))
    assert once == wanted
    assert insert(once, "| new |\n", "README.md", (START, END)) == wanted
    with pytest.raises(NmforgeError, match=r"README.md has no such marks; add a line <!-- ledger -->"):
        insert("no marks", "| new |\n", "README.md", (START, END))
