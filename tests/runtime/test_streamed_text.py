"""Text handed on while it grows, in whole characters."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories.toy_artifacts import byte_tokenizer, random_model

from nmforge.core.errors import NmforgeError
from nmforge.runtime.text import StreamedText, read_tokenizer


def test_a_character_in_two_tokens_is_handed_on_whole() -> None:
    tokenizer = byte_tokenizer()
    ids, pieces = tokenizer.encode("aé!").ids, list[str]()
    text = StreamedText(tokenizer, pieces.append)
    for end in range(1, len(ids) + 1):
        text.show(ids[:end])
    assert len(ids) == 4
    assert pieces == ["a", "é", "!"]
    assert text.finish(ids) == "aé!"


def test_an_artifact_without_a_tokenizer(tmp_path: Path) -> None:
    path = tmp_path / "a.nmf.safetensors"
    random_model(path, None)
    with pytest.raises(NmforgeError, match=r"a\.nmf\.safetensors holds no tokenizer; compress it again"):
        read_tokenizer(path)
