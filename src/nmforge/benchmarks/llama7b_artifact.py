"""LLaMA-7B with random weights, to time what its decoding costs; random codes take the time real ones take.

A model is an artifact on disk, loaded as any other. One block is generated, and the file holds it for every block.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmforge.artifact.format import RawTensor, layer_header, layer_tensors, write_streamed
from nmforge.benchmarks.shapes import bench_group_size
from nmforge.core import llama7b
from nmforge.core.compressed_linear import random_linear
from nmforge.core.formats import DENSE, Pattern
from nmforge.io.hashing import sha256_bytes
from nmforge.io.provenance import versions
from nmforge.io.safetensors_stream import DType, LazyTensor
from nmforge.models.llama import BLOCK_LINEARS, BLOCK_NORMS, EMBEDDING, FINAL_NORM, HEAD, LlamaShape, block_name
from nmforge.runtime.native import NativeModel, UInt16, float32_to_bf16, load_native

LLAMA_7B = LlamaShape(
    hidden=llama7b.HIDDEN, intermediate=llama7b.INTERMEDIATE, blocks=llama7b.BLOCKS, heads=llama7b.HEADS,
    kv_heads=llama7b.HEADS, head_size=llama7b.HIDDEN // llama7b.HEADS, vocabulary=llama7b.VOCABULARY, context=2304,
    rope_theta=10000.0, eps=llama7b.EPSILON,
)  # fmt: skip
FORMATS: dict[str, tuple[Pattern, int]] = {
    "dense-bf16": (DENSE, 16),
    "dense-int4": (DENSE, 4),
    "dense-int3": (DENSE, 3),
    "2:4-int4": (Pattern(2, 4), 4),
    "1:4-int4": (Pattern(1, 4), 4),
}
DISTINCT_ROWS = 256
GGUF_FORMAT = "q4_0"  # of every matrix of the random GGUF file
GGUF_LAYERS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")  # order of linear_sizes
SPREAD = 0.02  # standard deviation of the weights
ENCODING = "bitmask"  # of the indices; the one that is unpacked fastest
BF16_ONE = np.uint16(0x3F80)


def random_model(name: str, scratch: Path, shape: LlamaShape = LLAMA_7B, isa: str | None = None) -> NativeModel:
    """A model in one of FORMATS, loaded from an artifact in `scratch` that is deleted again."""
    path = scratch / f"llama-7b.{name.replace(':', 'of')}.nmf.safetensors"
    try:
        write_random_artifact(path, name, shape)
        return load_native(path, shape.context, isa)
    finally:
        path.unlink(missing_ok=True)


def write_random_artifact(path: Path, name: str, shape: LlamaShape = LLAMA_7B, seed: int = 0) -> None:
    """Write a model in one of FORMATS as `nmforge compress` would; embedding and head are bf16 in all of them.

    One block is in memory, and every block of the file holds its bytes. Raises NmforgeError where the disk is full.
    """
    rng = np.random.default_rng(seed)
    layers: dict[str, dict[str, Any]] = {}
    tensors: dict[str, tuple[LazyTensor, str]] = {}
    for layer, (n, k) in zip(BLOCK_LINEARS, shape.linear_sizes, strict=True):
        parts, about = _layer(rng, layer, n, k, name)
        for prefix in _blocks(shape):
            tensors |= {f"{prefix}.{part}": tensor for part, tensor in parts.items()}
            layers |= {f"{prefix}.{layer}": about} if about else {}
    norm = _stored(_bf16_tensor(np.full((1, shape.hidden), BF16_ONE), shape.hidden))
    tensors |= {f"{prefix}.{part}.weight": norm for prefix in _blocks(shape) for part in BLOCK_NORMS}
    tensors[f"{FINAL_NORM}.weight"] = norm
    for end in (f"{EMBEDDING}.weight", f"{HEAD}.weight"):
        tensors[end] = _stored(_bf16_tensor(_bf16(rng, shape.vocabulary, shape.hidden), shape.vocabulary, shape.hidden))
    write_streamed(path, _header(name, shape), layers, tensors, ENCODING)


def _blocks(shape: LlamaShape) -> list[str]:
    return [block_name(i) for i in range(shape.blocks)]


def _layer(
    rng: np.random.Generator, layer: str, n: int, k: int, name: str
) -> tuple[dict[str, tuple[LazyTensor, str]], dict[str, Any] | None]:
    """Tensors of one layer and, where it is compressed, what the header says of it.

    At most 256 distinct rows, repeated: values do not change times.
    """
    pattern, bits = FORMATS[name]
    if bits == 16:
        return {f"{layer}.weight": _stored(_bf16_tensor(_bf16(rng, n, k), n, k))}, None
    few = random_linear(rng, min(n, DISTINCT_ROWS), k, pattern, bits, bench_group_size(k))
    whole = few.take_rows(np.arange(n) % few.n)
    return {part: _stored(raw) for part, raw in layer_tensors(layer, whole, ENCODING).items()}, layer_header(whole)


def _stored(tensor: RawTensor) -> tuple[LazyTensor, str]:
    """With the hash of its bytes, computed once however often it is stored."""
    return tensor.lazy(), sha256_bytes(tensor.data)


def _bf16_tensor(bits: UInt16, *shape: int) -> RawTensor:
    return RawTensor(DType.BF16, shape, bits.tobytes())


def _header(name: str, shape: LlamaShape) -> dict[str, Any]:
    """The header fields of an artifact of LLaMA's shape in one of FORMATS."""
    pattern, bits = FORMATS[name]
    config = {
        "model_type": "llama", "hidden_act": "silu", "hidden_size": shape.hidden, "num_hidden_layers": shape.blocks,
        "intermediate_size": shape.intermediate, "num_attention_heads": shape.heads, "head_dim": shape.head_size,
        "num_key_value_heads": shape.kv_heads, "vocab_size": shape.vocabulary, "rms_norm_eps": shape.eps,
        "max_position_embeddings": shape.context, "tie_word_embeddings": False,
        "rope_parameters": {"rope_theta": shape.rope_theta, "rope_type": "default"},
    }  # fmt: skip
    design = {"id": name, "pattern": str(pattern), "pruner": "none", "quantizer": "none", "bits": bits,
              "group_size": 128, "target": "layer"}  # fmt: skip
    return {
        "model": {"source": "random weights", "revision": "seed-0", "config": config},
        "design": design,
        "calibration": {"tokens": 0},
        "versions": versions(),
    }


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


def _bf16(rng: np.random.Generator, n: int, k: int) -> UInt16:
    few = float32_to_bf16(SPREAD * rng.standard_normal((min(n, DISTINCT_ROWS), k), dtype=np.float32))
    return few[np.arange(n) % len(few)]
