"""A checkpoint of LLaMA-7B's shapes with seeded random weights: what compression at that scale costs, measured."""

from __future__ import annotations

from nmforge.core import llama7b
from nmforge.models.sources.registry import REGISTRY, CheckpointRequest, CheckpointSource


def write(request: CheckpointRequest) -> str:
    """Write the blocks asked for, one tensor in memory at a time; returns the revision."""
    from nmforge.models.random_llama import llama_7b, write_random

    return write_random(llama_7b(request.blocks or llama7b.BLOCKS), request.folder)


REGISTRY.add(CheckpointSource("llama7b-random", "random weights of LLaMA-7B's shapes", write, takes_blocks=True))
