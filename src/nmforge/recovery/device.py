"""Where training runs, in which type, and with which attention."""

from __future__ import annotations

import torch

from nmforge.compression.blockwise import compute_device
from nmforge.recovery import attention

training_device = compute_device


def compute_dtype() -> torch.dtype:
    """bfloat16 on a GPU and where the processor multiplies it, else float32, which is the faster there."""
    if training_device().type == "cuda" or torch.cpu.get_capabilities().get("avx512_bf16"):
        return torch.bfloat16
    return torch.float32


def attention_name() -> str:
    """Attention by blocks on a processor; on a GPU torch's, which is the faster there."""
    return "sdpa" if training_device().type == "cuda" else attention.NAME
