"""Text: calibration and evaluation never meet, and short texts are refused."""

from __future__ import annotations

import bz2
from pathlib import Path

import datasets
import numpy as np
import pytest

from nmforge.core.errors import NmforgeError
from nmforge.data.corpora.wikipedia_wheel import wikipedia_articles
from nmforge.data.corpus import load_corpus
from nmforge.data.tokens import random_sequences, read_tokens, spread_sequences, write_tokens
from nmforge.models.byte_tokenizer import byte_tokenizer


def test_even_paragraphs_calibrate_and_odd_ones_evaluate(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("zero\n\none\n\ntwo\n  \nthree\n")
    corpus = load_corpus(str(file), None, tmp_path)
    assert (corpus.calibration, corpus.evaluation) == (["zero", "two"], ["one", "three\n"])


def test_tokens_keep_the_sides_apart(tmp_path: Path) -> None:
    file, out = tmp_path / "text.txt", tmp_path / "tokens.safetensors"
    file.write_text("aaaa\n\nbbbb\n\naaaa")
    tokenizer = byte_tokenizer()
    write_tokens(load_corpus(str(file), None, tmp_path), tokenizer, out)
    assert tokenizer.decode(read_tokens(out, "calibration")[0]) == "aaaa<end>aaaa<end>"
    assert tokenizer.decode(read_tokens(out, "evaluation")[0]) == "bbbb<end>"


def test_wikipedia_markup_and_redirects_go(tmp_path: Path) -> None:
    page = "<page><title>{0}</title>{1}<revision><text>{2}</text></revision></page>"
    pages = page.format("A", "", "'''Bold''' [[Link|word]]") + page.format("B", '<redirect title="A"/>', "x")
    dump = tmp_path / "dump.bz2"
    dump.write_bytes(bz2.compress(f'<mediawiki xmlns="http://example.org/export">{pages}</mediawiki>'.encode()))
    assert wikipedia_articles(dump) == ["Bold word"]


@pytest.mark.parametrize("source", ["wikitext", "c4"])
def test_data_sets_keep_their_splits_apart(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "calibrate.txt").write_text("one\ntwo\n")
    (tmp_path / "evaluate.txt").write_text("three\n")
    files = {"train": "calibrate.txt", "test": "evaluate.txt", "validation": "evaluate.txt"}
    load, asked = datasets.load_dataset, []

    def local(*name: str, **options: object) -> object:
        asked.append((name, options["revision"]))
        paths = {split: str(tmp_path / file) for split, file in files.items()}
        return load("text", data_files=paths, cache_dir=str(tmp_path / "cache"))

    monkeypatch.setattr(datasets, "load_dataset", local)
    corpus = load_corpus(source, "abc", tmp_path)
    assert (corpus.calibration, corpus.evaluation, corpus.revision) == (["one", "two"], ["three"], "abc")
    assert asked[0][1] == "abc"


def test_a_data_set_out_of_reach_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_name: str, **_options: object) -> None:
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(
        NmforgeError, match=r"text.source 'c4' cannot be loaded \(no route .* or name a local text file"
    ):
        load_corpus("c4", None, tmp_path)


def test_sequences_are_spread_and_calibration_sequences_differ() -> None:
    tokens = np.arange(100, dtype=np.int32)
    assert spread_sequences(tokens, 3, 10, 10)[:, 0].tolist() == [0, 40, 90]
    chosen = random_sequences(tokens, 35, 10, seed=0)
    assert chosen.shape == (4, 10)
    assert len(set(chosen[:, 0].tolist())) == 4


def test_short_texts_are_refused(tmp_path: Path) -> None:
    tokens = np.arange(9, dtype=np.int32)
    with pytest.raises(NmforgeError, match=r"9 tokens, fewer than one sequence of evaluation.seqlen = 10"):
        spread_sequences(tokens, 3, 10, 10)
    with pytest.raises(NmforgeError, match=r"9 tokens, fewer than calibration.tokens = 20"):
        random_sequences(tokens, 20, 5, 0)
    with pytest.raises(NmforgeError, match=r"text.source 'nowhere' is neither a file nor one of"):
        load_corpus("nowhere", None, tmp_path)
