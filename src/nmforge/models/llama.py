"""The linear layers of a LLaMA-shaped decoder, grouped by the input they share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nmforge.core.errors import NmforgeError

# Layers on one line read the same activations, so they share one Gram matrix.
INPUT_GROUPS: tuple[tuple[str, ...], ...] = (
    ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    ("self_attn.o_proj",),
    ("mlp.gate_proj", "mlp.up_proj"),
    ("mlp.down_proj",),
)
# A layer whose inputs other layers write channel by channel, and those layers.
WRITERS: dict[str, tuple[str, ...]] = {
    "self_attn.o_proj": ("self_attn.v_proj",),
    "mlp.down_proj": ("mlp.gate_proj", "mlp.up_proj"),
}
# The first layer of each input group, and the norm or layer that can divide these inputs channel by channel.
SCALED_BY: dict[str, str] = {
    "self_attn.q_proj": "input_layernorm",
    "self_attn.o_proj": "self_attn.v_proj",
    "mlp.gate_proj": "post_attention_layernorm",
    "mlp.down_proj": "mlp.up_proj",
}
BLOCK_LINEARS = tuple(name for group in INPUT_GROUPS for name in group)
BLOCK_NORMS = ("input_layernorm", "post_attention_layernorm")


def check_supported(model: Any) -> None:
    """Raise NmforgeError naming the first layer this project cannot compress."""
    blocks = getattr(getattr(model, "model", None), "layers", None)
    if blocks is None:
        raise NmforgeError(f"{type(model).__name__} has no model.layers; use a LLaMA-shaped checkpoint")
    for index, block in enumerate(blocks):
        found = {name: module for name, module in block.named_modules() if isinstance(module, nn.Linear)}
        for name in sorted(set(found) ^ set(BLOCK_LINEARS)):
            raise NmforgeError(f"layer model.layers.{index}.{name} is unsupported; use a LLaMA-shaped checkpoint")
        for name, module in found.items():
            if module.bias is not None:
                raise NmforgeError(f"layer model.layers.{index}.{name} has a bias, which is unsupported; "
                                   "use a LLaMA-shaped checkpoint without biases")  # fmt: skip


def block_name(index: int) -> str:
    """Module path of a block."""
    return f"model.layers.{index}"


def linear_names(blocks: int) -> list[str]:
    """Module paths of all linear layers, in order of depth."""
    return [f"{block_name(index)}.{name}" for index in range(blocks) for name in BLOCK_LINEARS]


def norm_names(model: Any) -> list[str]:
    """Module paths of all normalizations, in order of depth."""
    names = [f"{block_name(i)}.{norm}" for i in range(len(model.model.layers)) for norm in BLOCK_NORMS]
    return [*names, "model.norm"]


def embed(model: Any, tokens: Tensor) -> Tensor:
    """Token ids [1, T] -> input of the first block [1, T, hidden]."""
    hidden: Tensor = model.model.embed_tokens(tokens)
    return hidden


class _Reached(Exception):
    """Carries a layer's input out of a forward pass that need not go on."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value


def output_input(model: Any, index: int, x: Tensor) -> Tensor:
    """Normalized input of the attention [1, T, hidden] -> input of its output projection; causal, positions from 0."""

    def stop(_module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        raise _Reached(arguments[0])

    attention = model.model.layers[index].self_attn
    rotary = _rotary(model, x)
    handle = attention.o_proj.register_forward_pre_hook(stop)
    try:
        attention(hidden_states=x, position_embeddings=rotary, attention_mask=None)
    except _Reached as reached:
        return reached.value
    finally:
        handle.remove()
    raise NmforgeError(f"{block_name(index)}.self_attn never called its o_proj; use a LLaMA-shaped checkpoint")


def down_input(block: Any, x: Tensor) -> Tensor:
    """Normalized input of the feed-forward part [1, T, hidden] -> input of its down projection [1, T, inner]."""
    inner: Tensor = block.mlp.act_fn(block.mlp.gate_proj(x)) * block.mlp.up_proj(x)
    return inner


def block_output(model: Any, index: int, x: Tensor) -> Tensor:
    """Residual stream in front of a block [B, T, hidden] -> behind it, in the type of x; causal, positions from 0."""
    outputs: Tensor = model.model.layers[index](x, attention_mask=None, position_embeddings=_rotary(model, x))
    return outputs


def _rotary(model: Any, x: Tensor) -> Any:
    """Rotary embeddings of windows that start at position 0."""
    return model.model.rotary_emb(x, torch.arange(x.shape[1], device=x.device)[None])
