"""Artifacts of the toy model, for tests that load one and run it."""

from __future__ import annotations

from pathlib import Path

from nmforge.compression.run import compress_checkpoint
from nmforge.config import CalibrationConfig
from nmforge.core.design import DesignPoint


def artifact_of(checkpoint: Path, point: DesignPoint) -> Path:
    """A design point that needs no calibration, written beside the checkpoint."""
    out = checkpoint.parent / f"{point.id}.nmf.safetensors"
    compress_checkpoint(checkpoint, Path("unused"), point, CalibrationConfig(), "bitmask", out)
    return out
