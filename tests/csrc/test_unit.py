"""The C++ unit tests of csrc/, and what may be in an object compiled for an instruction set."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build/unit"
INCLUDES = [Path(folder) for folder in [*os.environ.get("CPATH", "").split(":"), "/usr/include", "/usr/local/include"]]
DOCTEST = next((folder for folder in INCLUDES if (folder / "doctest/doctest.h").exists()), None)

# Those of the extension, where an editable install keeps them.
OBJECTS = sorted(
    (ROOT / "build").glob(f"cp{sys.version_info.major}{sys.version_info.minor}-*/CMakeFiles/*/csrc/**/*.o")
)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not on the path")
@pytest.mark.skipif(DOCTEST is None, reason="doctest is not installed (Debian package doctest-dev)")
def test_layout_rounding_and_pool() -> None:
    configure = ["cmake", "-S", str(ROOT), "-B", str(BUILD), "-DNMFORGE_UNIT_TESTS=ON", f"-Ddoctest={DOCTEST}"]
    subprocess.run(configure, check=True, capture_output=True)
    built = subprocess.run(["cmake", "--build", str(BUILD), "-j2"], check=False, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    done = subprocess.run([BUILD / "unit"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = re.search(r"assertions: *(\d+) *\| *(\d+) passed", done.stdout)
    assert found is not None and found[1] == found[2] and int(found[1]) > 4000, done.stdout


@pytest.mark.skipif(not OBJECTS, reason="this install keeps no build of the extension; make an editable one")
def test_objects_of_an_instruction_set_hold_their_kernel_only() -> None:
    """No symbol that the linker may share with other objects, and nothing that runs before the processor was asked."""
    objects = [path for path in OBJECTS if path.name.startswith(("isa_", "avx512"))]
    assert len(objects) >= 3
    for path in objects:
        nm = subprocess.run(["nm", "-C", "--defined-only", path], check=True, capture_output=True, text=True)
        symbols = [line.split(maxsplit=2)[1:] for line in nm.stdout.splitlines()]
        assert [name for kind, name in symbols if kind in "WVu"] == [], path.name
        assert [name for _, name in symbols if name.startswith("_GLOBAL__sub_I")] == [], path.name
