"""Named sources of checkpoints; any other `model.source` is a local folder or a Hugging Face id (`models.convert`).

Every source has one contract: it fills a folder with bf16 safetensors, a config and a tokenizer, and returns the
revision that identifies them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nmforge.core.registry import Registry


@dataclass(frozen=True)
class CheckpointRequest:
    """folder: to fill. cache: keeps downloads. revision: of a Hugging Face id. blocks: how many, all if None."""

    folder: Path
    cache: Path
    revision: str | None = None
    blocks: int | None = None


@dataclass(frozen=True)
class CheckpointSource:
    """One source. takes_blocks: it can have fewer blocks. gguf: (cache) -> the GGUF file it is, where it is one."""

    name: str
    summary: str
    write: Callable[[CheckpointRequest], str]
    takes_blocks: bool = False
    gguf: Callable[[Path], Path] | None = None


REGISTRY: Registry[CheckpointSource] = Registry("checkpoint_source")
