"""A seeded LLaMA-shaped model of two blocks over bytes, for tests of the whole pipeline."""

from __future__ import annotations

from typing import Any

from nmforge.core.lazy import torch
from nmforge.models.sources.registry import REGISTRY, CheckpointRequest, CheckpointSource

REVISION = "seed-0"


def toy_model() -> Any:
    """The model of transformers, float32."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=257, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True, bos_token_id=256,
            eos_token_id=256, pad_token_id=256,
        )
    )  # fmt: skip


def write(request: CheckpointRequest) -> str:
    """Write the model with the byte tokenizer; returns its revision."""
    from nmforge.models.byte_tokenizer import byte_tokenizer
    from nmforge.models.save import save_model

    save_model(toy_model(), byte_tokenizer(), request.folder)
    return REVISION


REGISTRY.add(CheckpointSource("toy", "two random blocks over bytes, for tests", write))
