"""The linear layers of a LLaMA-shaped decoder, grouped by the input they share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nmforge.errors import NmforgeError

# Layers on one line read the same activations, so they share one Gram matrix.
INPUT_GROUPS: tuple[tuple[str, ...], ...] = (
    ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    ("self_attn.o_proj",),
    ("mlp.gate_proj", "mlp.up_proj"),
    ("mlp.down_proj",),
)
BLOCK_LINEARS = tuple(name for group in INPUT_GROUPS for name in group)


def check_supported(model: Any) -> None:
    """Raise NmforgeError naming the first layer this project cannot compress."""
    blocks = getattr(getattr(model, "model", None), "layers", None)
    if blocks is None:
        raise NmforgeError(f"model type {model.config.model_type} has no model.layers; use a LLaMA-shaped checkpoint")
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


def embed(model: Any, tokens: Tensor) -> Tensor:
    """Token ids [1, T] -> input of the first block [1, T, hidden]."""
    hidden: Tensor = model.model.embed_tokens(tokens)
    return hidden


def run_block(model: Any, index: int, hidden: Tensor) -> Tensor:
    """One decoder block on [1, T, hidden], causal attention, positions from 0."""
    positions = torch.arange(hidden.shape[1])[None]
    rotary = model.model.rotary_emb(hidden, positions)
    out = model.model.layers[index](
        hidden, attention_mask=None, position_ids=positions, position_embeddings=rotary, use_cache=False
    )
    return out[0] if isinstance(out, tuple) else out
