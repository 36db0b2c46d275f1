"""How the next token is chosen from logits: the likeliest, or a draw."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nmforge.core.compressed_linear import Float32
from nmforge.core.errors import NmforgeError

Choose = Callable[[Float32], int]  # logits float32[vocabulary] -> token


def greedy(logits: Float32) -> int:
    """The likeliest token; the first one of equals."""
    return int(logits.argmax())


def sampler(temperature: float, seed: int) -> Choose:
    """Draws from softmax(logits / temperature), seeded; `greedy` at temperature 0.

    The same seed and logits give the same tokens on every machine: softmax is float64, draws are NumPy's PCG64.
    Raises NmforgeError for a temperature below 0 or one that is not finite.
    """
    if not 0 <= temperature < math.inf:
        raise NmforgeError(f"temperature = {temperature} must be >= 0 and finite; use 0 for greedy decoding")
    if temperature == 0:
        return greedy
    generator = np.random.default_rng(seed)

    def draw(logits: Float32) -> int:
        weights = np.exp((logits.astype(np.float64) - logits.max()) / temperature)
        return int(generator.choice(len(weights), p=weights / weights.sum()))

    return draw
