"""Inputs that studies share: made once for each hash, linked to where a study keeps them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from nmforge.io.folders import study_folders
from nmforge.io.store import fetch_or_make


class Maker:
    """Writes a folder with one file, and counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, out: Path) -> None:
        self.calls += 1
        out.mkdir()
        (out / "weights").write_text("bytes")


def test_an_input_is_made_once_for_all_who_ask(tmp_path: Path) -> None:
    make = Maker()
    for study in ("a", "b"):
        fetch_or_make(tmp_path / "made/1234", tmp_path / study / "model", make)
    assert make.calls == 1
    assert {(tmp_path / study / "model/weights").read_text() for study in ("a", "b")} == {"bytes"}


def test_two_who_ask_at_once_wait_for_one_another(tmp_path: Path) -> None:
    make = Maker()
    asked = [
        threading.Thread(target=fetch_or_make, args=(tmp_path / "made/1234", tmp_path / str(i) / "model", make))
        for i in range(4)
    ]
    for thread in asked:
        thread.start()
    for thread in asked:
        thread.join()
    assert make.calls == 1 and len(list(tmp_path.glob("*/model/weights"))) == 4


def test_what_a_study_had_before_gives_way(tmp_path: Path) -> None:
    out = tmp_path / "results/model"
    out.mkdir(parents=True)
    (out / "old").touch()
    fetch_or_make(tmp_path / "made/1234", out, Maker())
    assert [path.name for path in out.iterdir()] == ["weights"]


def test_a_single_file_is_a_copy_that_may_be_rewritten(tmp_path: Path) -> None:
    kept = tmp_path / "made/5678"
    fetch_or_make(kept, tmp_path / "tokens", lambda path: path.write_text("first"))
    (tmp_path / "tokens").write_text("second")
    assert kept.read_text() == "first"


def test_a_maker_that_fails_leaves_nothing_to_be_taken_for_an_input(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise ValueError("no network")

    with pytest.raises(ValueError, match="no network"):
        fetch_or_make(tmp_path / "made/1234", tmp_path / "model", fail)
    assert not (tmp_path / "made/1234").exists() and not (tmp_path / "model").exists()


def test_only_the_default_study_has_the_top_folders() -> None:
    assert study_folders("default").tables == Path("results/tables")
    mine = study_folders("mine")
    assert mine.tables == Path("results/studies/mine/tables")
    assert mine.figures == Path("paper_figures/studies/mine")
    assert mine.benchmarks == Path("logs/studies/mine/benchmarks")
