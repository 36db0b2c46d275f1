"""The masks of NVIDIA ModelOpt on the text that our own pruners are calibrated on."""

from __future__ import annotations

from pathlib import Path

import torch

from nmforge.compression.pruning.modelopt import write_masks
from nmforge.config import CalibrationConfig
from nmforge.data.tokens import random_sequences, read_tokens


def write_modelopt_masks(
    checkpoint: Path, tokens: Path, calibration: CalibrationConfig, threads: int, out: Path
) -> None:
    """Masks by ModelOpt's SparseGPT on the sequences that our own pruners are calibrated on.

    tokens: what `nmforge tokens` wrote. Raises NmforgeError where the text is too short or ModelOpt fails.
    """
    stream = read_tokens(tokens, "calibration")[0]
    chosen = random_sequences(stream, calibration.tokens, calibration.seqlen, calibration.seed)
    write_masks(checkpoint, torch.from_numpy(chosen).long(), threads, out)
