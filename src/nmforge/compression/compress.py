"""`nmforge.compress`: a checkpoint and a text in, an artifact out."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from nmforge.compression.run import CompressionSummary, compress_checkpoint
from nmforge.config import CalibrationConfig
from nmforge.core.design import DesignPoint
from nmforge.core.design_rules import is_calibrated
from nmforge.core.errors import NmforgeError
from nmforge.data.corpus import read_text_file
from nmforge.data.tokens import write_tokens
from nmforge.models.load import load_tokenizer

StrPath = str | os.PathLike[str]
DEFAULTS = CalibrationConfig()


def compress(
    checkpoint: StrPath,
    text: StrPath | None,
    design: DesignPoint,
    out: StrPath,
    *,
    calibration: CalibrationConfig = DEFAULTS,
    index_encoding: str = "enumerative",
) -> CompressionSummary:
    """Prune, quantize and pack a checkpoint into the artifact `out`; returns what that took.

    checkpoint: a folder that `nmforge checkpoint` wrote.
    text: what the design point is calibrated on: a UTF-8 text, its paragraphs taken in turn for calibration and
    evaluation, or a `.safetensors` file that `nmforge tokens` wrote. None for a design point that needs none.
    Finished blocks are kept next to `out`: after an interruption the same call goes on after the last of them.
    Raises NmforgeError for settings that make no sense together, a damaged checkpoint or a text too short.

    >>> import nmforge
    >>> point = nmforge.DesignPoint(
    ...     id="2of4", pattern=nmforge.Pattern(2, 4), pruner="wanda", quantizer="rtn", bits=4, group_size=32
    ... )
    >>> few = nmforge.CalibrationConfig(tokens=64, seqlen=32)
    >>> print(nmforge.compress("checkpoint", "text.txt", point, "2of4.nmf.safetensors", calibration=few))
    2 blocks...
    >>> nmforge.load("2of4.nmf.safetensors").layers["model.layers.1.mlp.up_proj"].pattern
    Pattern(keep=2, window=4)
    """
    if text is None and is_calibrated(design):
        raise NmforgeError(f"design {design.id} is calibrated on text; name a UTF-8 file, or one of nmforge tokens")
    source = Path() if text is None else Path(text)
    if text is not None and not source.is_file():
        raise NmforgeError(f"text {source} is not a file; name a UTF-8 text, or one that nmforge tokens wrote")
    with tempfile.TemporaryDirectory(prefix="nmforge-") as folder:
        tokens = source
        if text is not None and source.suffix != ".safetensors":
            tokens = Path(folder) / "tokens.safetensors"
            write_tokens(read_text_file(source), load_tokenizer(Path(checkpoint)), tokens)
        return compress_checkpoint(Path(checkpoint), tokens, design, calibration, index_encoding, Path(out))
