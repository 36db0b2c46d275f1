"""Verilator finds nothing to warn of in the RTL."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from nmforge.fpga.model.engine import Engine
from nmforge.fpga.sources import rtl_sources, run_verilator


@pytest.mark.parametrize(("kind", "window"), list(itertools.product(["gemm", "gemv", "device"], [1, 4, 8, 16])))
def test_rtl_is_lint_clean(tmp_path: Path, kind: str, window: int) -> None:
    engine = Engine(window, 4, 8, 4, 64, kind=kind)
    parameters = [f"-G{name}={value}" for name, value in engine.parameters.items()]
    files = [str(path) for path in rtl_sources()]
    run_verilator(["--lint-only", "-Wall", "--top-module", engine.top, *parameters, *files], tmp_path)
