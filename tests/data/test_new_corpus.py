"""A corpus is one new file: a config names it, and the tokens are those of its documents."""

from __future__ import annotations

from pathlib import Path

import yaml
from factories.one_new_file import run_with_files

from nmforge.data.tokens import read_tokens
from nmforge.models.byte_tokenizer import byte_tokenizer

CORPUS = """
from nmforge.data.corpora.registry import REGISTRY, Corpus, Documents

REGISTRY.add(Corpus("letters", "two letters", lambda revision, cache: Documents(["aa", "a"], ["b"], f"r-{revision}")))
"""


def test_a_corpus_of_one_file(checkpoint: Path, tmp_path: Path) -> None:
    designs = [{"id": "d"}, {"id": "a", "quantizer": "rtn", "bits": 4}]
    text = {"source": "letters", "revision": "7"}
    config = {"model": {"name": "toy", "source": "toy"}, "text": text, "designs": designs}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    out = tmp_path / "tokens.safetensors"
    options = ["--checkpoint", str(checkpoint), "--cache", str(tmp_path), "--out", str(out)]
    run_with_files({"corpus": CORPUS}, tmp_path, "--config", str(tmp_path / "config.yaml"), "tokens", *options)
    (calibration, revision), (evaluation, _) = (read_tokens(out, side) for side in ("calibration", "evaluation"))
    assert revision == "r-7"
    assert byte_tokenizer().decode(calibration) == "aa<end>a<end>"
    assert byte_tokenizer().decode(evaluation) == "b<end>"
