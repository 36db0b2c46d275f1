"""Token streams and the sequences cut from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from nmforge.core.errors import NmforgeError
from nmforge.data.corpora.registry import Documents
from nmforge.io.files import write_atomically

Tokens = NDArray[np.int32]


def write_tokens(corpus: Documents, tokenizer: Any, out: Path) -> None:
    """Tokenize each side, documents joined by the end-of-text token, as int32 tensors of one safetensors file."""
    sides = {"calibration": corpus.calibration, "evaluation": corpus.evaluation}
    arrays = {side: _tokenize(documents, tokenizer) for side, documents in sides.items()}
    write_atomically(out, lambda path: save_file(arrays, path, {"revision": corpus.revision}))


def _tokenize(documents: Sequence[str], tokenizer: Any) -> Tokens:
    ids: list[int] = []
    for document in documents:
        ids += tokenizer(document, add_special_tokens=False, verbose=False)["input_ids"]
        ids.append(tokenizer.eos_token_id)
    return np.array(ids, dtype=np.int32)


def read_tokens(path: Path, side: str) -> tuple[Tokens, str]:
    """(int32[T], text revision) of one side."""
    with safe_open(path, framework="np") as handle:
        return handle.get_tensor(side), handle.metadata()["revision"]


def spread_sequences(tokens: Tokens, count: int, seqlen: int, stride: int) -> Tokens:
    """At most `count` sequences int32[S, seqlen] on multiples of `stride`, spread evenly over the text."""
    available = (len(tokens) - seqlen) // stride + 1 if len(tokens) >= seqlen else 0
    if not available:
        raise NmforgeError(
            f"the evaluation text has {len(tokens)} tokens, fewer than one sequence of evaluation.seqlen = {seqlen}; "
            "name a longer text.source or a shorter seqlen"
        )
    places = np.linspace(0, available - 1, min(count, available)).round().astype(int)
    return np.stack([tokens[place * stride : place * stride + seqlen] for place in places])


def random_sequences(tokens: Tokens, total: int, seqlen: int, seed: int) -> Tokens:
    """Seeded calibration sequences int32[S, seqlen] with S * seqlen >= total, no two alike."""
    count = -(-total // seqlen)
    available = len(tokens) // seqlen
    if available < count:
        raise NmforgeError(
            f"the calibration text has {len(tokens)} tokens, fewer than calibration.tokens = {total} in sequences of "
            f"{seqlen}; name a longer text.source or ask for fewer tokens"
        )
    chosen = np.sort(np.random.default_rng(seed).choice(available, count, replace=False))
    return tokens[: available * seqlen].reshape(available, seqlen)[chosen]
