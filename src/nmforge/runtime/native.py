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
from nmforge.io.safetensors_stream import DType
from nmforge.kernels._native import decoder
from nmforge.kernels.cpu import CpuLinear, choose_isa
from nmforge.models.llama import BLOCK_LINEARS, BLOCK_NORMS, EMBEDDING, FINAL_NORM, HEAD, LlamaShape, block_name

UInt16 = NDArray[np.uint16]
Float32 = NDArray[np.float32]
Logits = Callable[[list[int]], Float32]  # token ids that follow those seen before -> logits float32[vocabulary]
CONTEXT = 8192  # longest cache that is reserved unasked; memory is taken as it fills


@dataclass(frozen=True)
class BlockWeights:
    """One block: layers in the order of BLOCK_LINEARS, compressed or bf16 bits uint16[N, K]; two norms float32."""

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
            logits: Float32 = self._native.forward(np.asarray(tokens, dtype=np.int32), threads)[0]
        except ValueError as error:
            raise NmforgeError(f"the native decoder stopped: {error}; check the file with nmforge inspect") from None
        return logits

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
        layers = [
            layer(f"{prefix}.{name}", n, k) for name, (n, k) in zip(BLOCK_LINEARS, shape.linear_sizes, strict=True)
        ]
        return BlockWeights(
            layers, [bf16_to_float32(bf16(f"{prefix}.{norm}.weight", shape.hidden)) for norm in BLOCK_NORMS]
        )

    embedding = bf16(f"{EMBEDDING}.weight", shape.vocabulary, shape.hidden)
    tied = config.get("tie_word_embeddings", False)
    head = embedding if tied else bf16(f"{HEAD}.weight", shape.vocabulary, shape.hidden)
    blocks = [block(block_name(i)) for i in range(shape.blocks)]
    final_norm = bf16_to_float32(bf16(f"{FINAL_NORM}.weight", shape.hidden))
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
    if tensor.dtype is DType.BF16:
        return np.frombuffer(tensor.data, dtype=np.uint16).reshape(tensor.shape)
    types = {DType.F32: np.float32, DType.F16: np.float16, DType.F64: np.float64}
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
