"""Files written atomically: whole, or the one that was there before."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from nmforge.core.errors import NmforgeError
from nmforge.io.files import remove_unfinished, write_atomically


def test_a_writer_that_fails_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    write_atomically(target, lambda path: path.write_text("first"))

    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    with pytest.raises(NmforgeError, match=r"a\.txt cannot be written, the disk is full; free space there and run"):
        write_atomically(target, fail)
    assert {path.name: path.read_text() for path in target.parent.iterdir()} == {"a.txt": "first"}


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = [tmp_path / name for name in ("a.txt", ".b.txt.7.partial.txt")]
    left = tmp_path / ".a.txt.123.partial.txt"
    for path in (*kept, left):
        path.touch()
    remove_unfinished(tmp_path / "a.txt")
    assert sorted(tmp_path.iterdir()) == sorted(kept)
