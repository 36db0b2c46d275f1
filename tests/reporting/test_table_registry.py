"""The registry of tables: every column of every row is explained."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from factories.ledgers import KERNELS
from factories.rows import coherence_row, decode_row
from factories.tables import BUILDERS

from nmforge.cli.main import main
from nmforge.core.errors import NmforgeError
from nmforge.reporting.ledger import ledger
from nmforge.reporting.llama7b_scaling import llama_on_boards, scaling_table
from nmforge.reporting.table_docs import describe_tables
from nmforge.reporting.tables.registry import REGISTRY, Table

RECORDS = Path(__file__).resolve().parents[2] / "workflow/records"


def test_derived_tables_have_exactly_the_documented_columns() -> None:
    kernels, fpga = BUILDERS["kernels"](), BUILDERS["fpga"]()
    made = {"scaling": scaling_table(kernels, fpga), "boards": llama_on_boards(fpga), "claims": ledger({})}
    assert {table.name for table in REGISTRY if table.derived} == set(made)
    for name, table in made.items():
        assert list(REGISTRY.get(name).columns) == list(table.columns)


def test_every_column_of_rows_that_figures_and_claims_read_is_documented() -> None:
    rows = {name: build() for name, build in BUILDERS.items()}
    rows["kernels"] = pd.concat([rows["kernels"], pd.DataFrame(KERNELS)])
    rows["decode"] = pd.DataFrame([decode_row("a", 1.0)])
    rows["coherence"] = pd.DataFrame([coherence_row("a", "cpu", 1)])
    for name, table in rows.items():
        assert REGISTRY.get(name).undocumented(table.columns) == []


@pytest.mark.parametrize("path", sorted(RECORDS.glob("*.json")), ids=lambda path: path.stem)
def test_every_column_of_the_recorded_points_is_documented(path: Path) -> None:
    point = json.loads(path.read_text())
    found = {column for row in point["rows"] for column in row} | set(point["provenance"])
    assert REGISTRY.get(point["table"]).undocumented(sorted(found)) == []


def test_undocumented_columns_are_named() -> None:
    accuracy: Table = REGISTRY.get("accuracy")
    assert accuracy.undocumented(["ppl", "colour", "kl", "taste"]) == ["colour", "taste"]


def test_every_explanation_is_one_line() -> None:
    for table in REGISTRY:
        texts = [table.summary, *(column.meaning for column in table.columns.values())]
        assert all(text and "\n" not in text and not text.endswith(".") for text in texts), table.name


def test_the_page_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables"]) == 0
    assert capsys.readouterr().out == (RECORDS.parents[1] / "docs/tables.md").read_text()


def test_the_description_has_a_line_for_each_column() -> None:
    text = describe_tables(["storage"])
    assert text.startswith(
        "## storage\n\nOne row: bytes of one design point under one index encoding. Stage `artifact`"
    )
    assert "| `bits_per_weight` | bits on disk per weight before pruning | bits/weight |" in text
    assert text.count("\n| `") == len(REGISTRY.get("storage").columns)
    everything = describe_tables()
    assert [line[3:] for line in everything.splitlines() if line.startswith("## ")] == REGISTRY.names()
    with pytest.raises(NmforgeError, match="table 'pies' is unknown; use one of accuracy, layers"):
        describe_tables(["pies"])
