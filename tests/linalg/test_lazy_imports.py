"""What importing the linear algebra costs: registries import it when a config is read."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["nmforge.linalg.bf16", "nmforge.linalg.hessian"])
def test_torch_is_not_imported_before_it_is_used(module: str) -> None:
    program = f"import sys, {module}; print({{'torch', 'pandas', 'matplotlib'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
