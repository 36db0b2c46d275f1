"""What training starts from: windows of text, and the header fields that say what was seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nmforge.config import RecoveryConfig
from nmforge.core.errors import NmforgeError
from nmforge.data.tokens import random_windows, read_tokens
from nmforge.io.hashing import sha256_bytes
from nmforge.recovery.self_generated import read_self_text


def training_windows(
    checkpoint: Path, tokens: Path, settings: RecoveryConfig, self_text: Path | None = None, most: int | None = None
) -> tuple[Tensor, str]:
    """(int64[W, T], the text's revision): every whole window of the calibration text, then the self-written ones.

    most: of the calibration text, so many windows at random instead, if it has more. Raises NmforgeError for a text
    without one, or a file of self-written text that is missing, not asked for, or another one.
    """
    stream, revision = read_tokens(tokens, "calibration")
    length = settings.seqlen
    count = max(1, len(stream) // length)
    windows = random_windows(stream, length * min(count, most or count), length, settings.seed)
    if settings.self_text and self_text is None:
        raise NmforgeError(
            f"recovery.self_text asks for {settings.self_text} windows; name their file with --self-text, or write it "
            f"with nmforge write-text --windows {settings.self_text} --seqlen {length}"
        )
    if self_text is not None and not settings.self_text:
        raise NmforgeError("recovery.self_text of this design point is 0; set it, or leave out --self-text")
    if self_text is not None:
        written = read_self_text(self_text, settings.self_text, length, checkpoint, revision)
        windows = np.concatenate([windows, written])
    return torch.from_numpy(windows).long(), revision


def recovered_header(
    start: dict[str, Any], design_id: str, settings: RecoveryConfig, windows: Tensor, revision: str, dtype: torch.dtype
) -> dict[str, Any]:
    """The starting artifact's header fields with the new id and what training saw.

    recovery.tokens counts those of every update, and those of the start's own recovery; a token of block-wise
    reconstruction counts once, though every block sees it.
    """
    before = start.get("recovery", {})
    return {
        "model": start["model"],
        "design": {**start["design"], "id": design_id},
        "calibration": start["calibration"],
        "recovery": {
            **settings.model_dump(),
            "tokens": settings.steps * settings.batch * settings.seqlen + before.get("tokens", 0),
            "revision": revision,
            "dtype": str(dtype).removeprefix("torch."),
            "windows": sha256_bytes(windows.numpy().tobytes()),
            **({"before": before} if before else {}),
        },
        "versions": start["versions"],
    }
