"""A figure or a claim is one new file: in its home package, or in somebody's distribution with an entry point."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pandas as pd
import pytest
from factories.tables import write_tables

FIGURE = """
    from nmforge.core.lazy import plt
    from nmforge.reporting.figures.registry import REGISTRY, Drawing


    def data(tables):
        return tables["limits"][["quantity", "value"]]


    def plot(rows):
        figure = plt.Figure(figsize=(2, 2))
        figure.add_subplot().barh(rows["quantity"], rows["value"])
        return figure


    REGISTRY.add(Drawing("limits_as_bars", "rates of this machine", ("limits",), data, plot, caption="Rates."))
"""
CLAIM = """
    from nmforge.reporting.claims.registry import REGISTRY, Claim
    from nmforge.reporting.verdicts import factor


    def entries(tables, here):
        peak = tables["limits"].query("quantity == 'int8_peak'")["value"].max()
        yield factor("this machine multiplies", 1e12, peak, "CPU", "a round number", "measured here")


    REGISTRY.add(Claim("multiplies", "this machine multiplies", ("limits",), entries))
"""
NEW_FILE = (  # the folder of the new file is made part of the home package, as if the file lay in it
    "import sys, importlib; home = importlib.import_module(sys.argv[1]); home.__path__.append(sys.argv[2]); "
    "from nmforge.cli import main; sys.exit(main(sys.argv[3:]))"
)
KINDS = {
    "figure": ("nmforge.reporting.figures", "limits_as_bars", FIGURE),
    "claim": ("nmforge.reporting.claims", "multiplies", CLAIM),
}


def run(command: list[str], *, path: Path | None = None) -> str:
    """Run a command that has to succeed; its output. path: a folder put on sys.path."""
    env = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def use(launch: list[str], kind: str, tmp_path: Path, *, path: Path | None = None) -> None:
    """Draw the new figure, or make a ledger of the new claim alone."""
    tables, name = write_tables(tmp_path / "tables"), KINDS[kind][1]
    if kind == "figure":
        run([*launch, "figures", name, "--tables", str(tables), "--out", str(tmp_path / "out")], path=path)
        assert list(pd.read_csv(tmp_path / "out" / f"{name}.csv").columns) == ["quantity", "value"]
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    else:
        text = run([*launch, "claims", name, "--build", "--tables", str(tables)], path=path)
        assert "this machine multiplies" in text and "1 reproduced" in text
        assert list(pd.read_parquet(tables / "claims.parquet")["ours_value"]) == [1e12]


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_file_in_the_home_package_is_used_by_name(kind: str, tmp_path: Path) -> None:
    home, name, source = KINDS[kind]
    (tmp_path / "added").mkdir()
    (tmp_path / "added" / f"{name}.py").write_text(dedent(source))
    use([sys.executable, "-c", NEW_FILE, home, str(tmp_path / "added")], kind, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_an_installed_distribution_adds_an_entry_through_its_entry_point(kind: str, tmp_path: Path) -> None:
    site = tmp_path / "site"
    metadata = site / "theirs-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[nmforge.{kind}]\nany = theirs_module\n")
    (site / "theirs_module.py").write_text(dedent(KINDS[kind][2]))
    use([sys.executable, "-m", "nmforge.cli.main"], kind, tmp_path, path=site)


def test_names_are_listed_without_large_libraries() -> None:
    code = (
        "import sys; from nmforge.core.registry import registry; "
        "print(*(name for kind in ('figure', 'claim', 'table') for name in registry(kind).names())); "
        "print(*{'torch', 'pandas', 'matplotlib', 'seaborn', 'numpy'} & set(sys.modules))"
    )
    names, found = run([sys.executable, "-c", code]).split("\n")[:2]
    assert len(names.split()) > 30 and found == ""
