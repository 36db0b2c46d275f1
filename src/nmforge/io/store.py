"""A store of inputs that studies share: each is made once, under the hash of what made it, and linked to its place."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nmforge.io.files import remove_unfinished, writing


def fetch_or_make(kept: Path, out: Path, make: Callable[[Path], object]) -> None:
    """Put a file or folder at `out`: what `kept` holds, which `make` fills first where it does not exist.

    kept: a path in the store that names the hash of everything `make` depends on. make: writes its argument whole or
    not at all. Two processes that ask for the same wait for one another. Files of a folder are hard links where the
    file system allows it; a single file is a copy, since a program may rewrite it in place.
    """
    kept.parent.mkdir(parents=True, exist_ok=True)
    with _locked(kept.with_name(f".{kept.name}.lock")):
        if not kept.exists():
            remove_unfinished(kept)
            make(kept)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        with writing(out):
            _place(kept, temporary)
            _remove(out)
            temporary.replace(out)
    finally:
        _remove(temporary)


def _place(kept: Path, target: Path) -> None:
    """The kept file as a copy, or the kept folder with its files linked."""
    if kept.is_dir():
        shutil.copytree(kept, target, copy_function=_link)
    else:
        shutil.copyfile(kept, target)


def _link(source: str, target: str) -> None:
    """A hard link; a copy where the two lie on different file systems or links are refused."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _remove(path: Path) -> None:
    """Remove a file or a folder that may be there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file; it is released when the process ends, however it ends."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
