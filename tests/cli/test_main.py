"""How the command line tells an error that the user can mend."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from factories.checkout import ROOT

from nmforge.cli import fpga, settings
from nmforge.cli.fpga import FPGA_VERBS
from nmforge.cli.main import EXTRAS, main
from nmforge.cli.verb_sources import verb_files
from nmforge.core.registry import HOMES

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def fails_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `nmforge list` end with an error."""

    def ask(kind: str) -> object:
        raise error

    monkeypatch.setattr(settings, "registry", ask)


def test_a_missing_package_is_told_with_the_extra_that_has_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails_with(ModuleNotFoundError("No module named 'yaml'", name="yaml"), monkeypatch)
    assert main(["list"]) == 2
    sentence = "the package yaml is not installed; install it with: pip install 'nmforge[workflow]'"
    assert capsys.readouterr().err == f"nmforge list: {sentence}\n"


def packages(extra: str) -> set[str]:
    """Distributions that an extra asks for, those of the extras that it names included."""
    found: set[str] = set()
    for requirement in PROJECT["optional-dependencies"][extra]:
        inner = re.fullmatch(r"nmforge\[(.*)\]", requirement)
        found |= set().union(*map(packages, inner[1].split(","))) if inner else {plain(requirement)}
    return found


def plain(requirement: str) -> str:
    """The name of a distribution without its version, as they are compared."""
    return re.split(r"[<>=!~; \[]", requirement)[0].lower().replace("_", "-")


def imported(path: Path) -> set[str]:
    """Packages of others that a file imports; not what only type checkers read, nor what core.lazy names."""
    tree = ast.parse(path.read_text())
    branches = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    checked = [node for node in branches if "TYPE_CHECKING" in ast.unparse(node.test)]
    skipped = {id(inner) for node in checked for inner in ast.walk(node)}
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) not in skipped and isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        if id(node) not in skipped and isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"nmforge"}


ELSEWHERE = {"triton"}  # comes with torch where there is a GPU
VERBS_WITH_EXTRAS = [(verb.name, extra) for module, extra in EXTRAS.items() for verb in module.VERBS]
VERBS_WITH_EXTRAS.remove(("fpga", EXTRAS[fpga]))  # its own verbs do the work
VERBS_WITH_EXTRAS += [(f"fpga {verb.name}", EXTRAS[fpga]) for verb in FPGA_VERBS]


@pytest.mark.parametrize(("verb", "extra"), VERBS_WITH_EXTRAS)
def test_the_extra_of_a_verb_installs_what_its_sources_import(verb: str, extra: str) -> None:
    """Files that run in an environment of their own, with what is installed there, do not count."""
    owners = packages_distributions()
    given = packages(extra) | {plain(requirement) for requirement in PROJECT["dependencies"]}
    given |= {plain(needed) for name in given for needed in requires(name) or [] if "extra ==" not in needed}
    lacking = {
        f"{path.name}: {name}"
        for path in verb_files(verb)
        if path.suffix == ".py" and not path.name.startswith("_") and path.parent.name != "external"
        for name in imported(path)
        if name not in ELSEWHERE and not {plain(owner) for owner in owners.get(name, [name])} & given
    }
    assert lacking == set()


def test_a_missing_module_that_no_extra_has_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(ModuleNotFoundError("No module named 'nmforge.nothing'", name="nmforge.nothing"), monkeypatch)
    with pytest.raises(ModuleNotFoundError):
        main(["list"])


def test_every_kind_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line for line in told if not line.startswith("  ")] == [kind.replace("_", " ") for kind in HOMES]
