"""Text from the C++ decoder, which needs no torch and takes dense bf16 artifacts too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nmforge.runtime.backends import check_threads
from nmforge.runtime.continuation import DEFAULTS, Generated, GenerationSettings, Stream, continue_text
from nmforge.runtime.native import Logits, NativeModel, load_native


def generate_native(
    artifact: Path,
    prompt: str,
    settings: GenerationSettings = DEFAULTS,
    stream: Stream | None = None,
    decoder: Callable[[int], NativeModel] | None = None,
) -> Generated:
    """Continue `prompt` with the C++ decoder, whatever backend the settings name.

    decoder: the decoder of this artifact for a context of so many tokens, where the caller keeps one; what its cache
    holds is forgotten.
    Raises NmforgeError where a setting makes no sense or the artifact is damaged.
    """
    check_threads(settings.threads)

    def load(needed: int) -> Logits:
        model = decoder(needed) if decoder else load_native(artifact, needed)
        model.truncate(0)
        return lambda ids: model.forward(ids, settings.threads)

    return continue_text(artifact, prompt, settings, load, stream)
