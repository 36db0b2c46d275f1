"""What decodes: our C++ decoder, and transformers; external libraries add theirs in `candidates.external.client`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nmforge.runtime.native import NativeModel


class Candidate(Protocol):
    """Something that decodes. `family` is `nmforge` or `library`; `isa` an instruction set or `library`."""

    @property
    def family(self) -> str: ...

    @property
    def isa(self) -> str: ...

    def set_context(self, tokens: int) -> None:
        """Put that many tokens into the cache."""

    def seconds(self, steps: int) -> list[float]:
        """Time `steps` single tokens, each after the same context."""

    def bytes_per_token(self, context: int) -> int | None:
        """Bytes one step reads of weights and cache; None where it is not known."""


@dataclass
class Native:
    """The C++ decoder; its context is filled with random keys and values, which cost what real ones cost."""

    model: NativeModel
    threads: int
    family: str = "nmforge"
    context: int = field(default=0, init=False)

    @property
    def isa(self) -> str:
        """Instruction set of its kernels."""
        return self.model.isa

    def set_context(self, tokens: int) -> None:
        """Random positions before the one that is decoded."""
        self.context = tokens
        self.model.fill(tokens)

    def seconds(self, steps: int) -> list[float]:
        """The token is forgotten after every step."""
        found = []
        for step in range(steps):
            begun = time.perf_counter()
            self.model.forward([step % self.model.shape.vocabulary], self.threads)
            found.append(time.perf_counter() - begun)
            self.model.truncate(self.context)
        return found

    def bytes_per_token(self, context: int) -> int:
        """Weights once, keys and values of the context once."""
        return self.model.weight_bytes + context * self.model.cache_bytes_per_token


class Transformers:
    """The checkpoint in bf16 in transformers, with its own key-value cache."""

    family = "library"
    isa = "library"

    def __init__(self, checkpoint: Path, threads: int) -> None:
        """checkpoint: a folder that `nmforge checkpoint` wrote."""
        import torch

        from nmforge.models.load import load_checkpoint

        self._torch, self.threads = torch, threads
        self.model = load_checkpoint(checkpoint, torch.bfloat16)[0]
        self._cache: Any = None

    def set_context(self, tokens: int) -> None:
        """The prompt is `tokens` times the first token."""
        from transformers import DynamicCache

        self._cache = DynamicCache(config=self.model.config)
        self._forward([0] * tokens)

    def seconds(self, steps: int) -> list[float]:
        """The token is cropped from the cache after every step."""
        found = []
        for step in range(steps):
            begun = time.perf_counter()
            self._forward([step % self.model.config.vocab_size])
            found.append(time.perf_counter() - begun)
            self._cache.crop(-1)
        return found

    def bytes_per_token(self, context: int) -> int:
        """Two bytes a weight, and keys and values of the context."""
        config = self.model.config
        weights = sum(p.numel() for name, p in self.model.named_parameters() if "embed_tokens" not in name)
        head = config.vocab_size * config.hidden_size if config.tie_word_embeddings else 0
        size = config.hidden_size // config.num_attention_heads
        cached = 2 * context * config.num_hidden_layers * config.num_key_value_heads * size
        return int(2 * (weights + head + cached))

    def _forward(self, ids: list[int]) -> None:
        torch = self._torch
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        with torch.inference_mode():
            self.model(torch.tensor([ids]), past_key_values=self._cache, use_cache=True, logits_to_keep=1)
