"""A copy of the project whose own sources run, so that a test can edit them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = (".*", "build", "CMakeFiles", "__pycache__", "logs", "results", "paper_figures")
# Runs when an interpreter starts: the installed package gives way to the copy's.
PREFER_COPY = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "Redirecting" not in type(finder).__name__]
sys.path.insert(0, {source!r})
"""


def copy_checkout(target: Path) -> Path:
    """The project without what it generates, at `target`; its package holds the extension that is installed."""
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*GENERATED))
    spec = importlib.util.find_spec("nmforge.kernels._native")
    assert spec is not None and spec.origin is not None
    shutil.copy(spec.origin, target / "src/nmforge/kernels")
    (target / "site").mkdir()
    (target / "site/sitecustomize.py").write_text(PREFER_COPY.format(source=str(target / "src")))
    return target


def run_in(checkout: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program of the present environment in the copy, on the copy's sources; its output is captured."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    inherited = {**os.environ, "PATH": path, "PYTHONPATH": str(checkout / "site"), **environment}
    return subprocess.run(command, cwd=checkout, env=inherited, capture_output=True, text=True)


def snakemake(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Snakemake in the copy."""
    return run_in(checkout, sys.executable, "-m", "snakemake", *arguments, **environment)
