"""In which type training runs, and with which attention."""

from __future__ import annotations

import torch

from nmforge.linalg.device import compute_device
from nmforge.recovery import attention


def compute_dtype() -> torch.dtype:
    """bfloat16 on a GPU and where the processor multiplies it, else float32, which is the faster there."""
    if compute_device().type == "cuda" or torch.cpu.get_capabilities().get("avx512_bf16"):
        return torch.bfloat16
    return torch.float32


def attention_name() -> str:
    """Attention by blocks on a processor; on a GPU torch's, which is the faster there."""
    return "sdpa" if compute_device().type == "cuda" else attention.NAME
