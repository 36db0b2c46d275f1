"""How the command line tells an error that the user can mend."""

from __future__ import annotations

import tomllib

import pytest
from factories.checkout import ROOT

from nmforge.cli import settings
from nmforge.cli.main import EXTRAS, main
from nmforge.core.registry import HOMES


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


def test_extras_of_verbs_are_extras_of_the_package() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS.values()) <= set(known)


def test_a_missing_module_that_no_extra_has_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(ModuleNotFoundError("No module named 'nmforge.nothing'", name="nmforge.nothing"), monkeypatch)
    with pytest.raises(ModuleNotFoundError):
        main(["list"])


def test_every_kind_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line for line in told if not line.startswith("  ")] == [kind.replace("_", " ") for kind in HOMES]
