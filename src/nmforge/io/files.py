"""Atomic file writes, and one sentence for a full disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nmforge.core.errors import NmforgeError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise NmforgeError naming `path` where a write inside finds the disk full."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise NmforgeError(f"{path} cannot be written, the disk is full; free space there and run again") from error
        raise


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file next to `path`, then rename it: a reader sees all of it or nothing.

    Raises NmforgeError naming `path` where the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial{path.suffix}")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write(temporary)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(path: Path) -> None:
    """Remove what processes that were killed while they wrote `path` atomically left next to it."""
    for left in path.parent.glob(f".{path.name}.*.partial*"):
        left.unlink()
