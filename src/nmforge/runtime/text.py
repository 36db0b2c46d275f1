"""Text from tokens: the tokenizer inside an artifact, and text handed on while it grows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safetensors import safe_open
from tokenizers import Tokenizer

from nmforge.core.errors import NmforgeError

UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # what a tokenizer shows for a character whose last bytes are still to come


def read_tokenizer(artifact: Path) -> Tokenizer:
    """The tokenizer inside an artifact; raises NmforgeError where it has none."""
    with safe_open(artifact, framework="np") as handle:
        if "tokenizer.json" not in handle.keys():  # noqa: SIM118
            raise NmforgeError(f"artifact {artifact} holds no tokenizer; compress it again")
        return Tokenizer.from_buffer(handle.get_tensor("tokenizer.json").tobytes())


class StreamedText:
    """Text of a growing list of tokens, handed on in whole characters: a token may end inside one."""

    def __init__(self, tokenizer: Tokenizer, stream: Callable[[str], object] | None) -> None:
        """stream: gets the text piece by piece; None where nobody reads along."""
        self.tokenizer, self.stream, self.shown = tokenizer, stream, ""

    def show(self, ids: list[int]) -> None:
        """Hand on what is new."""
        if self.stream:
            text: str = self.tokenizer.decode(ids)
            if not text.endswith(UNFINISHED):
                self._hand_on(text)

    def finish(self, ids: list[int]) -> str:
        """Hand on what is left, half characters too, and return the whole text."""
        text: str = self.tokenizer.decode(ids)
        self._hand_on(text)
        return text

    def _hand_on(self, text: str) -> None:
        if self.stream and len(text) > len(self.shown):
            self.stream(text[len(self.shown) :])
            self.shown = text
