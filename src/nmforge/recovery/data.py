"""What training reads: sequences of text, and the header fields that say which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nmforge.config import RecoveryConfig
from nmforge.core.errors import NmforgeError
from nmforge.core.header_words import recovery_header
from nmforge.data.tokens import random_sequences, read_tokens
from nmforge.io.hashing import sha256_bytes
from nmforge.recovery.self_generated import read_self_generated


def training_sequences(
    checkpoint: Path,
    tokens: Path,
    settings: RecoveryConfig,
    self_generated: Path | None = None,
    most: int | None = None,
) -> tuple[Tensor, str]:
    """(int64[S, T], the text's revision): every whole sequence of the calibration text, then the self-generated ones.

    most: at most that many sequences of the calibration text, chosen at random. Raises NmforgeError for a text without
    one, or a file of self-generated text that is missing, not asked for, or of another model.
    """
    stream, revision = read_tokens(tokens, "calibration")
    length = settings.seqlen
    count = max(1, len(stream) // length)
    sequences = random_sequences(stream, length * min(count, most or count), length, settings.seed)
    if settings.self_generated and self_generated is None:
        raise NmforgeError(
            f"recovery.self_generated asks for {settings.self_generated} sequences; name their file with "
            f"--self-generated, or make it with nmforge self-generate --sequences {settings.self_generated} "
            f"--seqlen {length}"
        )
    if self_generated is not None and not settings.self_generated:
        raise NmforgeError("recovery.self_generated of this design point is 0; set it, or leave out --self-generated")
    if self_generated is not None:
        written = read_self_generated(self_generated, settings.self_generated, length, checkpoint, revision)
        sequences = np.concatenate([sequences, written])
    return torch.from_numpy(sequences).long(), revision


def recovered_header(
    start: dict[str, Any],
    design_id: str,
    settings: RecoveryConfig,
    sequences: Tensor,
    revision: str,
    dtype: torch.dtype,
) -> dict[str, Any]:
    """The starting artifact's header fields with the new id and what training saw.

    recovery.tokens counts those of every update, and those of the start's own recovery; a token of block-wise
    reconstruction counts once, though every block sees it.
    """
    before = start.get("recovery", {})
    seen = {
        **settings.model_dump(),
        "tokens": settings.steps * settings.batch * settings.seqlen + before.get("tokens", 0),
        "revision": revision,
        "dtype": str(dtype).removeprefix("torch."),
        "sequences": sha256_bytes(sequences.numpy().tobytes()),
        **({"before": before} if before else {}),
    }
    return {
        "model": start["model"],
        "design": {**start["design"], "id": design_id},
        "calibration": start["calibration"],
        "recovery": recovery_header(seen),
        "versions": start["versions"],
    }
