"""`nmforge figures`, `claims`, `tables` and `report`: names, files, and sentences for what is wrong."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml
from factories.tables import write_tables

from nmforge.cli import main


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    return write_tables(tmp_path / "tables")


def test_named_figures_are_drawn(tables: Path, tmp_path: Path) -> None:
    assert main(["figures", "storage", "--tables", str(tables), "--out", str(tmp_path / "out")]) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["storage.csv", "storage.pdf", "storage.png"]


def test_named_claims_are_built_and_printed(tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "storage", "int3_speed", "--build", "--tables", str(tables)]) == 0
    built = pd.read_parquet(tables / "claims.parquet")
    assert list(built["claim"].unique()) == [
        "4x less weight storage",
        "2:4 INT4 as fast as dense INT3 of equal storage",
    ]
    printed = capsys.readouterr().out
    assert main(["claims", "--tables", str(tables)]) == 0
    assert capsys.readouterr().out == printed


def test_a_config_restricts_figures_and_claims(tables: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((Path(__file__).resolve().parents[2] / "config.yaml").read_text())
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config | {"report": {"figures": ["fpga"], "claims": ["threads"]}}))
    with_config = ["--config", str(path)]
    assert main([*with_config, "figures", "--tables", str(tables), "--out", str(tmp_path / "out")]) == 0
    assert {p.stem for p in (tmp_path / "out").iterdir()} == {"fpga"}
    assert main([*with_config, "claims", "--build", "--tables", str(tables)]) == 0
    assert list(pd.read_parquet(tables / "claims.parquet")["claim"]) == ["compute-bound matmul scales with threads"]
    assert main([*with_config, "claims", "storage", "--build", "--tables", str(tables)]) == 0  # a name counts more
    assert set(pd.read_parquet(tables / "claims.parquet")["claim"]) == {"4x less weight storage"}


def test_the_ledger_goes_into_a_document(tables: Path, tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("<!-- ledger -->\n<!-- end of ledger -->\n")
    assert main(["claims", "storage", "--into", str(document), "--tables", str(tables)]) == 0
    lines = document.read_text().splitlines()
    assert [line for line in lines if line.startswith("#")] == ["### 4x less weight storage \\[4x\\]"]
    assert sum(line.startswith("| ") for line in lines) == 1 + 3  # column names, and a line a row


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["figures", "pie"], "nmforge figures: figure 'pie' is unknown; use one of storage, speedup, "),
        (["claims", "pie", "--build"], "nmforge claims: claim 'pie' is unknown; use one of storage, matmul, "),
        (
            ["claims", "storage"],
            "nmforge claims: names of claims are given without --build or --into; add one",
        ),
        (["claims", "--into", "none.md"], "nmforge claims: none.md is missing; name a Markdown file for --into\n"),
        (["tables", "pie"], "nmforge tables: table 'pie' is unknown; use one of accuracy, layers, "),
    ],
)
def test_a_mistake_is_one_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.startswith(sentence)


def test_tables_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", "accuracy"]) == 0
    assert "| `ppl` | perplexity on the evaluation text |" in capsys.readouterr().out
