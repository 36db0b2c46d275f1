"""LLaMA-7B with random weights, to time what its decoding costs; random codes take the time real ones take.

One block is generated, and every block of the model is a copy of it at another place in memory.
"""

from __future__ import annotations

import numpy as np

from nmforge.bench.shapes import bench_group_size
from nmforge.kernels.cpu import CpuLinear
from nmforge.linear import random_linear
from nmforge.native_model import BlockWeights, LlamaShape, NativeModel, UInt16, float32_to_bf16
from nmforge.spec import DENSE, Pattern

LLAMA_7B = LlamaShape(
    hidden=4096, intermediate=11008, blocks=32, heads=32, kv_heads=32, head_size=128, vocabulary=32000, context=2304,
    rope_theta=10000.0, eps=1e-6,
)  # fmt: skip
FORMATS: dict[str, tuple[Pattern, int]] = {
    "dense-bf16": (DENSE, 16),
    "dense-int4": (DENSE, 4),
    "dense-int3": (DENSE, 3),
    "2:4-int4": (Pattern(2, 4), 4),
    "1:4-int4": (Pattern(1, 4), 4),
}
DISTINCT_ROWS = 256
SPREAD = 0.02  # standard deviation of the weights


def random_model(name: str, shape: LlamaShape = LLAMA_7B, seed: int = 0) -> NativeModel:
    """A model in one of FORMATS; embedding and head are bf16 in all of them."""
    rng = np.random.default_rng(seed)
    pattern, bits = FORMATS[name]
    first = [_layer(rng, n, k, pattern, bits) for n, k in shape.linear_sizes]
    norm = np.ones(shape.hidden, dtype=np.float32)
    blocks = [BlockWeights([layer.copy() for layer in first], (norm, norm)) for _ in range(shape.blocks - 1)]
    blocks.append(BlockWeights(first, (norm, norm)))
    embedding = _bf16(rng, shape.vocabulary, shape.hidden)
    return NativeModel(shape, blocks, norm, embedding, embedding.copy(), shape.context)


def _layer(rng: np.random.Generator, n: int, k: int, pattern: Pattern, bits: int) -> CpuLinear | UInt16:
    """At most 256 distinct rows, repeated: values do not change times."""
    if bits == 16:
        return _bf16(rng, n, k)
    few = random_linear(rng, min(n, DISTINCT_ROWS), k, pattern, bits, bench_group_size(k))
    return CpuLinear(few.take_rows(np.arange(n) % few.n))


def _bf16(rng: np.random.Generator, n: int, k: int) -> UInt16:
    few = float32_to_bf16(SPREAD * rng.standard_normal((min(n, DISTINCT_ROWS), k), dtype=np.float32))
    return few[np.arange(n) % len(few)]
