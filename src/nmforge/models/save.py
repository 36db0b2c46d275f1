"""A model in memory written as a checkpoint folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from nmforge.models.forward import check_supported


def save_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a model of transformers in bf16, and its tokenizer; raises NmforgeError where a layer is unsupported."""
    check_supported(model)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
