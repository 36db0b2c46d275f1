"""A checkpoint of LLaMA-7B's shapes with seeded random weights: what compression at that scale costs, measured."""

from __future__ import annotations

import zlib
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig

from nmforge.core import llama7b
from nmforge.models.byte_tokenizer import byte_tokenizer
from nmforge.models.checkpoint import skeleton, tensor_names
from nmforge.models.checkpoint_writer import lazy_bf16, write_config, write_shards

SPREAD = 0.02  # standard deviation of the weights
LLAMA_7B: dict[str, Any] = {
    "vocab_size": llama7b.VOCABULARY, "hidden_size": llama7b.HIDDEN, "intermediate_size": llama7b.INTERMEDIATE,
    "num_attention_heads": llama7b.HEADS, "num_key_value_heads": llama7b.HEADS, "max_position_embeddings": 2048,
    "rms_norm_eps": llama7b.EPSILON,
}  # fmt: skip


def llama_7b(blocks: int) -> LlamaConfig:
    """LLaMA-7B's configuration with some of its blocks, over the tokens of the byte tokenizer."""
    return LlamaConfig(
        **LLAMA_7B, num_hidden_layers=blocks, tie_word_embeddings=False, bos_token_id=256, eos_token_id=256,
        pad_token_id=256,
    )  # fmt: skip


def write_random(config: LlamaConfig, folder: Path) -> str:
    """Write the checkpoint into `folder`, one tensor in memory at a time; returns its revision.

    A tensor depends on its name and shape alone, so a checkpoint of fewer blocks begins as one of more does.
    """
    model = skeleton(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    tensors = {name: lazy_bf16(shapes[name], partial(_weight, name, shapes[name])) for name in tensor_names(model)}
    write_config(folder, config, type(model).__name__)
    write_shards(folder, tensors)
    byte_tokenizer().save_pretrained(folder)
    return "seed-0"


def _weight(name: str, shape: tuple[int, ...]) -> Tensor:
    """Norms are 1, everything else is normal."""
    if len(shape) == 1:
        return torch.ones(shape)
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return torch.randn(shape, generator=generator).mul_(SPREAD)
