"""A checkpoint folder loaded whole: the model in memory, and its tokenizer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from nmforge.models.checkpoint import read_identity, verify_shards

if not sys.stderr.isatty():
    disable_progress_bar()  # of transformers, which draws its bars into logs too


def load_checkpoint(folder: Path, dtype: torch.dtype = torch.float32) -> tuple[Any, Any, dict[str, Any]]:
    """(model in eval mode, tokenizer, identity) from a folder that `prepare_checkpoint` wrote, its hashes checked."""
    identity = verify_shards(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    return model, load_tokenizer(folder), identity


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a checkpoint folder, without its weights."""
    read_identity(folder)
    return AutoTokenizer.from_pretrained(folder)
