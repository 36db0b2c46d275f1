"""LLaMA-7B with random weights, to time what its decoding costs; random codes take the time real ones take.

One block is generated, and every block of the model is a copy of it at another place in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
GGUF_LAYERS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")  # order of linear_sizes
SPREAD = 0.02  # standard deviation of the weights


def random_model(name: str, shape: LlamaShape = LLAMA_7B, seed: int = 0, isa: str | None = None) -> NativeModel:
    """A model in one of FORMATS; embedding and head are bf16 in all of them."""
    rng = np.random.default_rng(seed)
    pattern, bits = FORMATS[name]
    first = [_layer(rng, n, k, pattern, bits, isa) for n, k in shape.linear_sizes]
    norm = np.ones(shape.hidden, dtype=np.float32)
    blocks = [BlockWeights([layer.copy() for layer in first], (norm, norm)) for _ in range(shape.blocks - 1)]
    blocks.append(BlockWeights(first, (norm, norm)))
    embedding = _bf16(rng, shape.vocabulary, shape.hidden)
    return NativeModel(shape, blocks, norm, embedding, embedding.copy(), shape.context, isa)


def write_random_gguf(path: Path, shape: LlamaShape = LLAMA_7B, seed: int = 0) -> None:
    """The same model for llama.cpp: every matrix in Q4_0, head and embedding too, the blocks copies of one.

    A Q4_0 block is a float16 scale and 32 codes of 4 bits: 18 bytes. The file has no vocabulary, only its size.
    """
    from gguf import GGMLQuantizationType, GGUFWriter

    rng = np.random.default_rng(seed)
    writer = GGUFWriter(path, "llama", use_temp_file=False)
    _describe(writer, shape)
    norm = np.ones(shape.hidden, dtype=np.float32)
    sizes = dict(zip(GGUF_LAYERS, shape.linear_sizes, strict=True))
    codes = {name: _q4_0(rng, *size) for name, size in sizes.items()}
    ends = _q4_0(rng, shape.vocabulary, shape.hidden)
    tensors: list[tuple[str, NDArray[Any]]] = [("token_embd", ends), ("output", ends), ("output_norm", norm)]
    for i in range(shape.blocks):
        tensors += [(f"blk.{i}.{name}", codes[name]) for name in GGUF_LAYERS]
        tensors += [(f"blk.{i}.attn_norm", norm), (f"blk.{i}.ffn_norm", norm)]
    for name, values in tensors:
        kind = GGMLQuantizationType.Q4_0 if values.dtype == np.uint8 else None
        writer.add_tensor(f"{name}.weight", values, raw_dtype=kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: Any, shape: LlamaShape) -> None:
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.intermediate)
    writer.add_block_count(shape.blocks)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.head_size)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_layer_norm_rms_eps(shape.eps)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_tokenizer_model("no_vocab")


def _q4_0(rng: np.random.Generator, n: int, k: int) -> NDArray[np.uint8]:
    """uint8[N, K / 32 * 18], at most 256 distinct rows; codes are uniform, so their spread is 4.6 steps."""
    few = rng.integers(0, 256, (min(n, DISTINCT_ROWS), k // 32, 18), dtype=np.uint8)
    few[:, :, :2] = np.array([SPREAD / 4.6], dtype=np.float16).view(np.uint8)
    return few.reshape(len(few), -1)[np.arange(n) % len(few)]


def _layer(
    rng: np.random.Generator, n: int, k: int, pattern: Pattern, bits: int, isa: str | None
) -> CpuLinear | UInt16:
    """At most 256 distinct rows, repeated: values do not change times."""
    if bits == 16:
        return _bf16(rng, n, k)
    few = random_linear(rng, min(n, DISTINCT_ROWS), k, pattern, bits, bench_group_size(k))
    return CpuLinear(few.take_rows(np.arange(n) % few.n), isa)


def _bf16(rng: np.random.Generator, n: int, k: int) -> UInt16:
    few = float32_to_bf16(SPREAD * rng.standard_normal((min(n, DISTINCT_ROWS), k), dtype=np.float32))
    return few[np.arange(n) % len(few)]
