"""Layers that read the same inputs: which method gains over which, and that sharing changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from factories.layers import compress_one, correlated, stats_of
from factories.layers import design_point as point

from nmforge.compression.calibration.statistics import NO_TEXT
from nmforge.compression.layer_solver import compress_layers
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import DENSE, Pattern
from nmforge.core.reference import dequantize


def output_error(weight: torch.Tensor, linear: CompressedLinear, x: torch.Tensor) -> float:
    return float(((torch.from_numpy(dequantize(linear)) - weight) @ x.T).norm())


def test_compensation_beats_rounding_and_pruning_alone() -> None:
    x, weight = correlated(512, 32), torch.randn(16, 32, generator=torch.Generator().manual_seed(4))
    stats = stats_of(x)
    error = {
        name: output_error(weight, compress_one(weight, stats, point(pattern, pruner, quantizer), "w"), x)
        for name, pattern, pruner, quantizer in [
            ("rtn", DENSE, "none", "rtn"),
            ("gptq", DENSE, "none", "gptq"),
            ("magnitude", Pattern(2, 4), "magnitude", "rtn"),
            ("wanda", Pattern(2, 4), "wanda", "rtn"),
            ("sparsegpt", Pattern(2, 4), "sparsegpt", "gptq"),
            ("alps", Pattern(2, 4), "alps", "gptq"),
        ]
    }
    assert error["gptq"] < 0.8 * error["rtn"]
    assert error["sparsegpt"] < 0.9 * error["wanda"]
    assert error["sparsegpt"] < 0.9 * error["magnitude"]
    assert error["alps"] < 0.9 * error["sparsegpt"]


def test_layers_that_share_inputs_are_solved_as_if_alone() -> None:
    generator, stats = torch.Generator().manual_seed(8), stats_of(correlated(64, 32))
    weights = {name: torch.randn(rows, 32, generator=generator) for name, rows in (("q", 5), ("k", 3), ("v", 4))}
    two = Pattern(2, 4)
    for pruner, pattern, last_bits in (
        ("sparsegpt", two, 0),
        ("alps", two, 1e-6),
        ("alps-swaps", two, 1e-6),
        ("wanda", two, 0),
        ("none", DENSE, 0),
    ):
        design = point(pattern, pruner, "gptq")
        together = compress_layers(weights, stats, design)
        for name, weight in weights.items():
            alone = compress_one(weight, stats, design, name)
            assert (together[name].codes == alone.codes).all()
            assert (together[name].keep_mask == alone.keep_mask).all()
            assert np.allclose(together[name].row_scale, alone.row_scale, rtol=last_bits, atol=0)


def test_layers_that_cannot_be_compressed_are_named() -> None:
    weight = torch.zeros(2, 10)
    with pytest.raises(NmforgeError, match=r"pattern 2:4 does not divide K = 10 of layer x; choose .* 2, 5, 10"):
        compress_one(weight, NO_TEXT, point(Pattern(2, 4), "magnitude", "rtn"), "layer x")
    with pytest.raises(NmforgeError, match="layer x: its weights are not finite"):
        compress_one(torch.full((1, 8), torch.nan), NO_TEXT, point(DENSE, "none", "rtn"), "layer x")
