"""The GPU of this machine: its name, and the cache that weights streamed from memory must not fit into."""

from __future__ import annotations

from nmforge.core.lazy import torch

DEVICE = "cuda"


def device_name() -> str:
    """`cuda: ` and the name of the GPU, as tables call it."""
    return f"cuda: {torch.cuda.get_device_name()}"


def cache_bytes() -> int:
    """Bytes of the GPU's second-level cache."""
    return int(torch.cuda.get_device_properties(DEVICE).L2_cache_size)
