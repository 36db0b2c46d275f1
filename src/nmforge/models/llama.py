"""The LLaMA family: names and sizes of its modules, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmforge.core.errors import NmforgeError

Float32 = NDArray[np.float32]
MAX_SIZE, MAX_FLOAT = 2**31 - 1, 3e38

EMBEDDING, FINAL_NORM, HEAD = "model.embed_tokens", "model.norm", "lm_head"
ATTENTION_OUTPUT, DOWN = "self_attn.o_proj", "mlp.down_proj"
# Layers on one line read the same activations, so they share one Gram matrix.
LAYERS_BY_INPUT: tuple[tuple[str, ...], ...] = (
    ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    (ATTENTION_OUTPUT,),
    ("mlp.gate_proj", "mlp.up_proj"),
    (DOWN,),
)
# A layer whose inputs other layers write channel by channel, and those layers.
WRITERS: dict[str, tuple[str, ...]] = {
    ATTENTION_OUTPUT: ("self_attn.v_proj",),
    DOWN: ("mlp.gate_proj", "mlp.up_proj"),
}
# The first layer of each input group, and the norm or layer that can divide these inputs channel by channel.
SCALED_BY: dict[str, str] = {
    "self_attn.q_proj": "input_layernorm",
    ATTENTION_OUTPUT: "self_attn.v_proj",
    "mlp.gate_proj": "post_attention_layernorm",
    DOWN: "mlp.up_proj",
}
BLOCK_LINEARS = tuple(name for group in LAYERS_BY_INPUT for name in group)
BLOCK_NORMS = ("input_layernorm", "post_attention_layernorm")


def block_name(index: int) -> str:
    """Module path of a block."""
    return f"model.layers.{index}"


def linear_names(blocks: int) -> list[str]:
    """Module paths of all linear layers, in order of depth."""
    return [f"{block_name(index)}.{name}" for index in range(blocks) for name in BLOCK_LINEARS]


def norm_names(blocks: int) -> list[str]:
    """Module paths of all normalizations, in order of depth."""
    return [*(f"{block_name(index)}.{norm}" for index in range(blocks) for norm in BLOCK_NORMS), FINAL_NORM]


@dataclass(frozen=True)
class InputGroups:
    """Input channels of a layer that may change places or be scaled, since other layers write them one by one.

    size: channels of a group; an order stays inside it. shared_by: neighbouring groups that have one order and one set
    of factors, because the same rows write them: query heads that read one key-value head.
    """

    size: int
    shared_by: int = 1


def input_groups(config: Any) -> dict[str, InputGroups]:
    """The groups of each layer that has them, by its name in a block. config: a model's, of transformers.

    A down projection's inputs may take any order; those of an output projection stay inside their heads.
    """
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return {DOWN: InputGroups(config.intermediate_size), ATTENTION_OUTPUT: InputGroups(width, heads // kv_heads)}


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
        """(N, K) of the seven layers of a block, in the order of BLOCK_LINEARS."""
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
