"""Shapes that are measured: (N, K) of linear layers."""

from __future__ import annotations

from pathlib import Path

from nmforge.artifact.header import read_header


def model_shapes(artifact: Path) -> list[tuple[int, int]]:
    """Distinct (N, K) of the compressed layers of an artifact, in its order."""
    return list(dict.fromkeys((layer["n"], layer["k"]) for layer in read_header(artifact)["layers"].values()))


def bench_group_size(k: int) -> int:
    """Group size of generated layers: 128, else 64, else one group per row."""
    return next((size for size in (128, 64) if k % size == 0), k)
