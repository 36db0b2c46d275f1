"""Layers small enough to check by hand, the statistics of their inputs, and design points for them."""

from __future__ import annotations

import torch

from nmforge.compression.calibration.activation_cache import ActivationCache
from nmforge.compression.calibration.statistics import InputStats, Streams, gather
from nmforge.compression.layer_solver import compress_layers
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.design import DesignPoint
from nmforge.core.formats import Pattern


def cached(sequence: torch.Tensor) -> ActivationCache:
    """One sequence [T, width] in memory."""
    cache = ActivationCache((1, *sequence.shape), torch.device("cpu"))
    cache[0] = sequence[None]
    return cache


def stats_of(x: torch.Tensor) -> InputStats:
    """Of inputs [T, K]."""
    return gather(Streams(cached(x)))


def correlated(tokens: int, k: int, seed: int = 0) -> torch.Tensor:
    """Random inputs [tokens, K], every channel a mix of all."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(k, k, generator=generator)
    return torch.randn(tokens, k, generator=generator) @ mix


def design_point(pattern: Pattern, pruner: str, quantizer: str, group: int = 8) -> DesignPoint:
    """INT4, called `p`."""
    return DesignPoint("p", pattern, pruner, quantizer, 4, group)


def compress_one(weight: torch.Tensor, stats: InputStats, design: DesignPoint, name: str) -> CompressedLinear:
    """One layer float32[N, K] of that name."""
    return compress_layers({name: weight}, stats, design)[name]
