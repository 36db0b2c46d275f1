"""The command line with one new file in the home package of a kind, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from importlib import import_module
from nmforge.cli import main
from nmforge.core.registry import HOMES
for kind, folder in zip(sys.argv[1].split(","), sys.argv[2].split(",")):
    import_module(HOMES[kind]).__path__.append(folder)
sys.exit(main(sys.argv[3:]))
"""


def run_with_files(files: dict[str, str], folder: Path, *arguments: str) -> None:
    """Run `nmforge *arguments`; files: source text of one new module by the kind of its entry."""
    homes = []
    for kind, source in files.items():
        home = folder / kind
        home.mkdir(exist_ok=True)
        (home / f"new_{kind}.py").write_text(source)
        homes.append(str(home))
    command = [sys.executable, "-c", SCRIPT, ",".join(files), ",".join(homes), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
