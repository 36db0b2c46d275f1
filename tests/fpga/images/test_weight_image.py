"""Images of weights and activations: each is undone exactly."""

from __future__ import annotations

import numpy as np
import pytest
from factories.rtl_problems import CASES, problem

from nmforge.fpga.images.weight_image import (
    kept_weights,
    read_weight_image,
    write_activation_image,
    write_weight_image,
)
from nmforge.fpga.model.engine import Engine


def read_activation_image(image: np.ndarray, m: int) -> np.ndarray:
    """int8[M, K] of an image, from its description: a beat holds the same inputs of every token of a column tile."""
    _, beats, tokens, _ = image.shape
    return np.stack([
        np.concatenate([image[token // tokens, beat, token % tokens] for beat in range(beats)]) for token in range(m)
    ])  # fmt: skip


@pytest.mark.parametrize("kind", ["gemm", "gemv", "device"])
@pytest.mark.parametrize(("window", "lanes", "bits", "pattern"), CASES)
def test_images_are_bijections(kind: str, window: int, lanes: int, bits: int, pattern: str) -> None:
    group = 96 if window == 6 else 32
    linear, xq = problem(pattern, 3, 5, 20 * group, bits, group)
    engine = Engine(window, bits, 8, 2, group, lanes, kind)
    kept = kept_weights(linear, engine)
    back = read_weight_image(write_weight_image(kept, engine), engine, linear.n, 20, kept.keep)
    assert (back.codes == kept.codes).all()
    assert (back.offsets == kept.offsets).all()
    assert (back.mult == kept.mult).all()
    assert (read_activation_image(write_activation_image(xq, engine), 3) == xq).all()
