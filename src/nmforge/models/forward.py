"""A transformers model of the LLaMA family walked block by block; `models.llama` holds the names it uses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nmforge.core.errors import NmforgeError
from nmforge.models.llama import BLOCK_LINEARS, block_name


def check_supported(model: Any) -> None:
    """Raise NmforgeError naming the first layer this project cannot compress."""
    blocks = getattr(getattr(model, "model", None), "layers", None)
    if blocks is None:
        raise NmforgeError(f"{type(model).__name__} has no model.layers; use a LLaMA-shaped checkpoint")
    for index, block in enumerate(blocks):
        found = {name: module for name, module in block.named_modules() if isinstance(module, nn.Linear)}
        for name in sorted(set(found) ^ set(BLOCK_LINEARS)):
            raise NmforgeError(f"layer {block_name(index)}.{name} is unsupported; use a LLaMA-shaped checkpoint")
        for name, module in found.items():
            if module.bias is not None:
                raise NmforgeError(f"layer {block_name(index)}.{name} has a bias, which is unsupported; "
                                   "use a LLaMA-shaped checkpoint without biases")  # fmt: skip


def embed(model: Any, tokens: Tensor) -> Tensor:
    """Token ids [1, T] -> input of the first block [1, T, hidden]."""
    hidden: Tensor = model.model.embed_tokens(tokens)
    return hidden


class _Reached(Exception):
    """Carries a layer's input out of a forward pass that can stop there."""

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
    """Residual stream before a block [B, T, hidden] -> after it, in the type of x; causal, positions from 0."""
    outputs: Tensor = model.model.layers[index](x, attention_mask=None, position_embeddings=_rotary(model, x))
    return outputs


def _rotary(model: Any, x: Tensor) -> Any:
    """Rotary embeddings of sequences that start at position 0."""
    return model.model.rotary_emb(x, torch.arange(x.shape[1], device=x.device)[None])
