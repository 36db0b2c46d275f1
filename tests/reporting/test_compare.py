"""This run against the published tables: what must be equal, what may differ by how much, and what is no partner."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from factories.rows import accuracy_row, kernel_row, rtl_row, storage_row

from nmforge.cli import main
from nmforge.core.errors import NmforgeError
from nmforge.reporting.compare import COMPARED, compare_table, compare_tables
from nmforge.reporting.tables.registry import REGISTRY

TABLES = {
    "storage": [storage_row("a", "offset", 3.125), storage_row("b", "offset", 4.125)],
    "accuracy": [accuracy_row("a", "2:4", 4, 50.0, 2.5)],
    "kernels": [kernel_row("ours", "nmforge", "2:4", 4, 200.0)],
    "fpga": [rtl_row("2:4", 400), rtl_row("1:1", 800)],
}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """The same numbers as this run's Parquet and as published CSV."""
    here, published = tmp_path / "tables", tmp_path / "published"
    here.mkdir(), published.mkdir()
    for name, rows in TABLES.items():
        pd.DataFrame(rows).to_parquet(here / f"{name}.parquet")
        pd.DataFrame(rows).to_csv(published / f"{name}.csv", index=False)
    return here, published


def run(here: Path, published: Path) -> int:
    try:
        return main(["compare", "--tables", str(here), "--published", str(published)])
    except SystemExit as ended:
        return int(str(ended.code))


def test_a_run_agrees_with_itself_through_csv(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert [(one.table, one.both, one.only_here, one.only_published) for one in compare_tables(*folders)] == [
        ("storage", 2, 0, 0), ("accuracy", 1, 0, 0), ("fpga", 2, 0, 0), ("kernels", 1, 0, 0),
    ]  # fmt: skip
    assert run(*folders) == 0
    assert "This run agrees with the published tables." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("table", "column", "factor", "differ"),
    [
        ("storage", "bytes", 1.000001, True),
        ("fpga", "cycles", 1.0025, True),
        ("accuracy", "ppl", 1.009, False),
        ("accuracy", "ppl", 1.011, True),
        ("kernels", "median_us", 0.76, False),
        ("kernels", "median_us", 0.74, True),
        ("kernels", "spread_us", 9.0, False),  # says how well a time is known
    ],
)
def test_one_altered_number(table: str, column: str, factor: float, differ: bool, folders: tuple[Path, Path]) -> None:
    here, published = folders
    rows = pd.DataFrame(TABLES[table])
    rows[column] = rows[column].astype(float)
    rows.loc[0, column] *= factor
    rows.to_parquet(here / f"{table}.parquet")
    differences = [difference for one in compare_tables(here, published) for difference in one.differences]
    assert [difference.column for difference in differences] == [column] * differ
    assert run(here, published) == int(differ)


def test_the_altered_row_is_named(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    here, published = folders
    pd.DataFrame([TABLES["storage"][0], TABLES["storage"][1] | {"bytes": 7}]).to_parquet(here / "storage.parquet")
    assert run(here, published) == 1
    printed = capsys.readouterr().out
    assert "storage: model m, design_id b, scope linear, encoding offset: bytes is 7 here, 4125000 published" in printed
    assert "design_id a" not in printed


def test_rows_of_another_processor_are_counted_and_not_compared() -> None:
    ours, theirs = (pd.DataFrame([kernel_row("ours", "nmforge", "2:4", 4, us, isa=isa)])
                    for us, isa in ((200.0, "avx2"), (50.0, "avx512vbmi")))  # fmt: skip
    found = compare_table("kernels", ours, theirs)
    assert (found.both, found.only_here, found.only_published, found.differences) == (0, 1, 1, ())


def test_a_number_that_one_side_lacks_differs() -> None:
    rows = pd.DataFrame(TABLES["kernels"])
    (found,) = compare_table("kernels", rows.assign(weight_bytes=float("nan")), rows).differences
    assert found.column == "weight_bytes"


def test_a_comparison_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NmforgeError, match=r"no row of .* has a published one in .*; make this run's tables"):
        compare_tables(tmp_path, tmp_path)


def test_every_compared_column_is_one_of_its_table() -> None:
    for name, asked in COMPARED.items():
        assert not REGISTRY.get(name).undocumented([*asked.keys, *asked.kinds])
