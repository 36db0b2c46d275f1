"""LLaMA-7B's sizes: kernels, decoders, boards and random checkpoints are measured at its shapes."""

from __future__ import annotations

HIDDEN, INTERMEDIATE, BLOCKS, HEADS, VOCABULARY = 4096, 11008, 32, 32, 32000
EPSILON = 1e-6  # of its normalizations

# (N, K) -> how many linear layers of one block have that shape: q k v o, gate and up, down.
SHAPES: dict[tuple[int, int], int] = {
    (HIDDEN, HIDDEN): 4,
    (INTERMEDIATE, HIDDEN): 2,
    (HIDDEN, INTERMEDIATE): 1,
}
