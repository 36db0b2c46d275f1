"""An artifact as a model that decodes without torch: the C++ decoder on the kernels of mode W4A8.

    artifact -> CpuLinear of every layer -> one `decoder.LanguageModel` -> logits of the next token

Linear layers are the kernels', integer for integer. What lies between them (norms, rotary positions, attention,
SiLU) is float32 in an order of its own, so logits agree with other hosts' to rounding, and keys and values are kept
in bf16. The logits do not depend on the number of threads or the instruction set by a single bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmforge.artifact.format import RawTensor, load_linear, load_rest
from nmforge.artifact.header import read_header
from nmforge.core.errors import NmforgeError
from nmforge.kernels._native import decoder
from nmforge.kernels.cpu import CpuLinear, choose_isa

UInt16 = NDArray[np.uint16]
Float32 = NDArray[np.float32]
LAYERS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
          "mlp.up_proj", "mlp.down_proj")  # fmt: skip
NORMS = ("input_layernorm", "post_attention_layernorm")
MAX_SIZE, MAX_FLOAT = 2**31 - 1, 3e38
Logits = Callable[[list[int]], Float32]  # token ids that follow those seen before -> logits float32[vocabulary]
CONTEXT = 8192  # longest cache that is reserved unasked; memory is taken as it fills


@dataclass(frozen=True)
class LlamaShape:
    """Sizes of a LLaMA-shaped decoder, and what its rotary positions and norms need."""

    hidden: int
    intermediate: int
    blocks: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    context: int
    rope_theta: float
    eps: float

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LlamaShape:
        """From a checkpoint's config; raises NmforgeError naming the key the decoder has no code for."""
        rope = config.get("rope_parameters") or {}
        if not isinstance(rope, Mapping):
            raise NmforgeError(
                f"model config rope_parameters = {rope!r} must be a table; compress the checkpoint again"
            )
        for key, value, known in (
            ("model_type", config.get("model_type"), "llama"),
            ("hidden_act", config.get("hidden_act"), "silu"),
            ("rope_type", rope.get("rope_type", "default"), "default"),
            ("rope_scaling", config.get("rope_scaling"), None),
            ("attention_bias", config.get("attention_bias", False), False),
        ):
            if value != known:
                raise NmforgeError(
                    f"model config {key} = {value!r} is not in the native decoder (it has {known!r}); "
                    "generate with --backend cpu"
                )
        hidden, heads = _size(config, "hidden_size"), _size(config, "num_attention_heads")
        return cls(
            hidden, _size(config, "intermediate_size"), _size(config, "num_hidden_layers"), heads,
            _size(config, "num_key_value_heads", heads), _size(config, "head_dim", hidden // heads),
            _size(config, "vocab_size"), _size(config, "max_position_embeddings"),
            _number(config if rope.get("rope_theta") is None else rope, "rope_theta", 1.0, 10000.0),
            _number(config, "rms_norm_eps", 0.0),
        )  # fmt: skip

    @property
    def linear_sizes(self) -> list[tuple[int, int]]:
        """(N, K) of the seven layers of a block, in the order of LAYERS."""
        wide, narrow = self.heads * self.head_size, self.kv_heads * self.head_size
        return [
            (wide, self.hidden), (narrow, self.hidden), (narrow, self.hidden), (self.hidden, wide),
            (self.intermediate, self.hidden), (self.intermediate, self.hidden), (self.hidden, self.intermediate),
        ]  # fmt: skip

    def rotary(self, context: int) -> tuple[Float32, Float32]:
        """Cosines and sines of the angles position * theta^(-2 i / head_size): float32[context, head_size / 2]."""
        exponent = np.arange(0, self.head_size, 2, dtype=np.float32) / np.float32(self.head_size)
        frequency = np.float32(1) / np.float32(self.rope_theta) ** exponent
        angle = np.arange(context, dtype=np.float32)[:, None] * frequency.astype(np.float32)
        return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def _size(config: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """A size of the config, `default` where it is absent or null."""
    value = default if config.get(key) is None else config[key]
    if type(value) is not int or not 1 <= value <= MAX_SIZE:
        raise NmforgeError(
            f"model config {key} = {value!r} must be an integer from 1 to 2^31-1; compress the checkpoint again"
        )
    return value


def _number(config: Mapping[str, Any], key: str, least: float, default: float | None = None) -> float:
    """A float32 of the config, at least `least`, `default` where it is absent or null."""
    value = default if config.get(key) is None else config[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= MAX_FLOAT:
        raise NmforgeError(f"model config {key} = {value!r} is out of range; compress the checkpoint again")
    return float(value)


@dataclass(frozen=True)
class BlockWeights:
    """One block: seven layers in the order of LAYERS, compressed or bf16 bits uint16[N, K]; two norms float32."""

    layers: Sequence[CpuLinear | UInt16]
    norms: Sequence[Float32]


class NativeModel:
    """A decoder with its key-value cache."""

    def __init__(
        self, shape: LlamaShape, blocks: Sequence[BlockWeights], final_norm: Float32, embedding: UInt16, head: UInt16,
        context: int = CONTEXT, isa: str | None = None,
    ) -> None:  # fmt: skip
        """embedding, head: bf16 bits uint16[vocabulary, hidden]. context: longest sequence, at most the shape's.

        Raises NmforgeError where sizes do not fit each other or the decoder.
        """
        self.shape, self.context = shape, min(context, shape.context)
        self.isa = choose_isa(isa)
        cosines, sines = shape.rotary(self.context)
        parts = [
            [layer.native if isinstance(layer, CpuLinear) else layer for layer in block.layers] + list(block.norms)
            for block in blocks
        ]
        try:
            attention = decoder.AttentionShape(shape.heads, shape.kv_heads, shape.head_size)
            arrays = decoder.ModelArrays(final_norm, embedding, head, cosines, sines)
            self._native = decoder.LanguageModel(self.isa, attention, shape.eps, parts, arrays)
        except ValueError as error:
            raise NmforgeError(
                f"the native decoder cannot take this model: {error}; generate with --backend cpu"
            ) from None
        self._blocks = blocks
        self._head_bytes = head.nbytes

    @property
    def length(self) -> int:
        """Tokens in the cache."""
        return self._native.length

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights one decoded token reads: every layer and the head."""
        layers = [layer for block in self._blocks for layer in block.layers]
        return self._head_bytes + sum(x.weight_bytes if isinstance(x, CpuLinear) else x.nbytes for x in layers)

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes of keys and values, bf16, that one token adds to the cache and every later token reads."""
        return 2 * 2 * len(self._blocks) * self.shape.kv_heads * self.shape.head_size

    def forward(self, tokens: Sequence[int], threads: int) -> Float32:
        """Append tokens to the cache; float32[vocabulary] logits of the one after them.

        Raises NmforgeError where they exceed the context or activations hold NaN or infinity.
        """
        if self.length + len(tokens) > self.context:
            raise NmforgeError(
                f"{self.length + len(tokens)} tokens exceed the context of {self.context}; shorten the prompt or "
                "generate fewer"
            )
        try:
            return self._native.forward(np.asarray(tokens, dtype=np.int32), threads)[0]
        except ValueError as error:
            raise NmforgeError(f"the native decoder stopped: {error}; check it with nmforge inspect") from None

    def fill(self, count: int, seed: int = 0) -> None:
        """Set the cache to `count` positions of random keys and values: a context for timing."""
        if not 0 <= count < self.context:
            raise NmforgeError(f"{count} tokens leave no room in a context of {self.context}; use a shorter one")
        self._native.fill(count, seed)

    def truncate(self, length: int) -> None:
        """Forget all positions from `length` on."""
        self._native.truncate(length)


def load_native(artifact: Path, context: int = CONTEXT, isa: str | None = None) -> NativeModel:
    """The model of an artifact, compressed or dense bf16, every tensor's hash checked.

    Raises NmforgeError for a model that is not LLaMA-shaped, or a damaged or incomplete file.
    """
    try:
        return _load(artifact, context, isa)
    except NmforgeError as error:
        if str(artifact) in str(error):
            raise
        raise NmforgeError(f"artifact {artifact}: {error}") from error


def _load(artifact: Path, context: int, isa: str | None) -> NativeModel:
    header = read_header(artifact)
    config = _config_of(header)
    shape = LlamaShape.from_config(config)
    rest = load_rest(artifact)

    def bf16(name: str, *sizes: int) -> UInt16:
        if name not in rest:
            raise NmforgeError(f"artifact {artifact} lacks tensor {name}; compress it again")
        _check_sizes(name, rest[name].shape, sizes)
        return as_bf16(rest[name])

    def layer(name: str, n: int, k: int) -> CpuLinear | UInt16:
        if name not in header["layers"]:
            return bf16(f"{name}.weight", n, k)
        linear = load_linear(artifact, name)
        _check_sizes(name, linear.codes.shape, (n, k))
        return CpuLinear(linear, isa)

    def block(prefix: str) -> BlockWeights:
        layers = [layer(f"{prefix}.{name}", n, k) for name, (n, k) in zip(LAYERS, shape.linear_sizes, strict=True)]
        return BlockWeights(layers, [bf16_to_float32(bf16(f"{prefix}.{norm}.weight", shape.hidden)) for norm in NORMS])

    embedding = bf16("model.embed_tokens.weight", shape.vocabulary, shape.hidden)
    tied = config.get("tie_word_embeddings", False)
    head = embedding if tied else bf16("lm_head.weight", shape.vocabulary, shape.hidden)
    blocks = [block(f"model.layers.{i}") for i in range(shape.blocks)]
    final_norm = bf16_to_float32(bf16("model.norm.weight", shape.hidden))
    return NativeModel(shape, blocks, final_norm, embedding, head, context, isa)


def _config_of(header: Mapping[str, Any]) -> Mapping[str, Any]:
    """The checkpoint's config in an artifact's header."""
    model = header.get("model")
    config = model.get("config") if isinstance(model, dict) else None
    if not isinstance(config, dict):
        raise NmforgeError("its header has no model config; compress the checkpoint again")
    return config


def _check_sizes(name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if tuple(found) != expected:
        raise NmforgeError(f"{name} is {list(found)} where the model config has {list(expected)}; compress it again")


def as_bf16(tensor: RawTensor) -> UInt16:
    """bf16 bits of a float tensor, float32 rounded to nearest even."""
    if tensor.dtype == "BF16":
        return np.frombuffer(tensor.data, dtype=np.uint16).reshape(tensor.shape)
    types = {"F32": np.float32, "F16": np.float16, "F64": np.float64}
    if tensor.dtype not in types:
        raise NmforgeError(f"a tensor of type {tensor.dtype} cannot be a weight; compress the model again")
    values = np.frombuffer(tensor.data, dtype=types[tensor.dtype]).reshape(tensor.shape).astype(np.float32)
    return float32_to_bf16(values)


def float32_to_bf16(values: Float32) -> UInt16:
    """Bits of the nearest bf16, ties to even."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def bf16_to_float32(bits: UInt16) -> Float32:
    """Exact."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
