"""Shapes that are measured: (N, K) of linear layers."""

from __future__ import annotations

from pathlib import Path

from nmforge.artifact.header import read_header

SQUARE = (4096, 4096)
LLAMA7B_KERNELS = (
    "torch-bf16", "ours-dense-int4", "ours-dense-int3", "ours-2:4-int4", "gpu-torch-fp16", "gpu-torch-int4",
    "gpu-ours-dense-int4", "gpu-ours-dense-int3", "gpu-ours-2:4-int4", "gpu-paper-matmul-only-dense",
    "gpu-paper-matmul-only-2:4",
)  # fmt: skip


def distinct(shapes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Shapes without repetitions, in order."""
    return list(dict.fromkeys(shapes))


def model_shapes(artifact: Path) -> list[tuple[int, int]]:
    """Distinct (N, K) of the compressed layers of an artifact, in its order."""
    return distinct([(layer["n"], layer["k"]) for layer in read_header(artifact)["layers"].values()])


def bench_group_size(k: int) -> int:
    """Group size of generated layers: 128, else 64, else one group per row."""
    return next((size for size in (128, 64) if k % size == 0), k)
