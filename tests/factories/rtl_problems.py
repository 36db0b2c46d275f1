"""Layers and activations for the RTL."""

from __future__ import annotations

import numpy as np

from nmforge.core.compressed_linear import CompressedLinear, random_linear
from nmforge.core.formats import Pattern
from nmforge.fpga.images.weight_image import KeptWeights, kept_weights, write_activation_image, write_weight_image
from nmforge.fpga.model.engine import Engine

# (windows of the build, lanes, bits) and what runs on it without another build
BUILDS = [
    (1, 1, 4, ["1:1"]),
    (4, 1, 4, ["1:1", "1:2", "3:4", "2:4", "1:4"]),
    (8, 1, 4, ["1:1", "1:2", "2:4", "1:4", "4:8", "2:8", "1:8"]),
    (16, 1, 4, ["8:16", "2:16"]),
    (4, 2, 4, ["1:1", "2:4"]),
    (4, 1, 3, ["1:1", "2:4"]),
    (2, 1, 8, ["1:1", "1:2"]),
    (6, 1, 2, ["2:6"]),
]
CASES = [(window, lanes, bits, pattern) for window, lanes, bits, patterns in BUILDS for pattern in patterns]


def problem(
    pattern: str, m: int, n: int, k: int, bits: int = 4, group: int = 32
) -> tuple[CompressedLinear, np.ndarray]:
    """A random layer of N x K and int8[M, K], the first and the last token at the ends of the range."""
    rng = np.random.default_rng(0)
    linear = random_linear(rng, n, k, Pattern.parse(pattern), bits, group)
    xq = rng.integers(-127, 128, (m, k), dtype=np.int8)
    xq[0], xq[-1] = 127, -127
    return linear, xq


def images(kept: KeptWeights, xq: np.ndarray, engine: Engine) -> bytes:
    """The weight image, then the activation image."""
    return write_weight_image(kept, engine).tobytes() + write_activation_image(xq, engine).tobytes()


def images_of(linear: CompressedLinear, xq: np.ndarray, engine: Engine) -> bytes:
    """Both images of a layer."""
    return images(kept_weights(linear, engine), xq, engine)
