"""Decode speed: one token a step behind a context of given length, candidates alternated in one process.

candidate -> set_context(n) -> seconds of some steps -> rows of table `decode`
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from nmforge.artifact.header import read_header
from nmforge.benchmarks.candidates.external.client import peers
from nmforge.benchmarks.llama7b_artifact import FORMATS, random_model, write_random_gguf
from nmforge.benchmarks.machine_limits import read_bandwidth
from nmforge.benchmarks.timer import summarize, wait_until_quiet
from nmforge.config import DecodeConfig
from nmforge.core.errors import NmforgeError
from nmforge.io import provenance, records
from nmforge.runtime.native import NativeModel, load_native

ROOM = 64  # tokens beyond the longest context
ROUNDS = 5
Row = dict[str, object]


class Candidate(Protocol):
    """Something that decodes. `family` is `ours` or `peer`; `isa` an instruction set or `library`."""

    @property
    def family(self) -> str: ...

    @property
    def isa(self) -> str: ...

    def set_context(self, tokens: int) -> None:
        """Put that many tokens into the cache."""

    def seconds(self, steps: int) -> list[float]:
        """Time `steps` single tokens, each behind the same context."""

    def bytes_per_token(self, context: int) -> int | None:
        """Bytes one step reads of weights and cache; None where it is not known."""


@dataclass
class Native:
    """The C++ decoder; its context is filled with random keys and values, which cost what real ones cost."""

    model: NativeModel
    threads: int
    family: str = "ours"
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
        """The token is forgotten behind every step."""
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
    """The peer: the checkpoint in bf16 in transformers, with its own key-value cache."""

    family = "peer"
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
        """The token is cropped from the cache behind every step."""
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
        return 2 * (weights + head + 2 * context * config.num_hidden_layers * config.num_key_value_heads * size)

    def _forward(self, ids: list[int]) -> None:
        torch = self._torch
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        with torch.inference_mode():
            self.model(torch.tensor([ids]), past_key_values=self._cache, use_cache=True, logits_to_keep=1)


def decode_artifacts(
    model: str, artifacts: Sequence[Path], checkpoint: Path, gguf: Path | None, settings: DecodeConfig, threads: int,
    out: Path,
) -> None:  # fmt: skip
    """Decode with some artifacts of one model and with its checkpoint in transformers; write table `decode`.

    gguf: the same model for llama.cpp, measured too where it is given.
    """
    candidates: dict[str, Candidate] = {_design(path): Native(load_native(path), threads) for path in artifacts}
    candidates["transformers-bf16"] = Transformers(checkpoint, threads)
    if gguf:
        candidates["llamacpp-gguf"] = peers().load(gguf, threads, max(settings.contexts) + ROOM)
    records.write_point(out, "decode", run_decode(model, candidates, settings.contexts, threads, settings.seconds))


def decode_llama7b(settings: DecodeConfig, threads: int, with_peers: bool, scratch: Path, out: Path) -> None:
    """Decode with a random LLaMA-7B in the formats of the config; write table `decode`.

    The formats of a group are in memory together and take turns; the first compressed one is in every group. Each is
    loaded from an artifact in `scratch`, and llama.cpp takes part in the first group on a random Q4_0 file there; all
    are deleted again.
    """
    rows, models = list[Row](), dict[str, Candidate]()
    for i, names in enumerate(_in_memory_together(settings.llama7b)):
        models = {name: model for name, model in models.items() if name in names}  # the others leave memory first
        for name in tqdm(names, desc="write and load llama-7b", unit="model", disable=None):
            models[name] = models.get(name) or Native(random_model(name, scratch), threads)
        rows += _decode_group({name: models[name] for name in names}, settings, threads, with_peers and i == 0, scratch)
    records.write_point(out, "decode", rows)


def _decode_group(
    models: Mapping[str, Candidate], settings: DecodeConfig, threads: int, with_peers: bool, scratch: Path
) -> list[Row]:
    """Rows of models that are in memory together, and of llama.cpp."""
    gguf = scratch / "llama-7b.Q4_0.gguf"
    if not with_peers:
        return run_decode("llama-7b", models, settings.llama7b_contexts, threads, settings.seconds)
    try:
        write_random_gguf(gguf)
        with closing(peers().load(gguf, threads, max(settings.llama7b_contexts) + ROOM)) as peer:
            both = {**models, "llamacpp-q4_0": peer}
            return run_decode("llama-7b", both, settings.llama7b_contexts, threads, settings.seconds)
    finally:
        gguf.unlink(missing_ok=True)


def _design(artifact: Path) -> str:
    return str(read_header(artifact)["design"]["id"])


def _in_memory_together(formats: Sequence[str]) -> list[list[str]]:
    """Groups of formats that fit into 20 GB: three compressed ones, then each other one with the first of those."""
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise NmforgeError(f"decode.llama7b has {unknown[0]!r}; choose from {', '.join(FORMATS)}")
    if not formats:
        raise NmforgeError(f"decode.llama7b names no format; choose from {', '.join(FORMATS)}")
    packed = [name for name in formats if FORMATS[name][1] < 16]
    others = [name for name in formats if name not in packed[:3]]
    return [group for group in [packed[:3], *([name, *packed[:1]] for name in others)] if group]


def run_decode(
    model: str,
    candidates: Mapping[str, Candidate],
    contexts: Iterable[int],
    threads: int,
    seconds: float,
) -> list[Row]:
    """Rows of table `decode`: at every context, five turns of each candidate, of about `seconds` in all."""
    run_id, rows = uuid.uuid4().hex[:12], list[Row]()
    for context in tqdm(list(contexts), desc=f"decode {model}", unit="context", disable=None):
        steps = {name: _prepare(candidate, context, seconds / ROUNDS) for name, candidate in candidates.items()}
        samples: dict[str, list[float]] = {name: [] for name in candidates}
        bandwidths = []
        for _ in range(ROUNDS):
            wait_until_quiet()
            bandwidths.append(read_bandwidth(threads))
            for name, candidate in candidates.items():
                wait_until_quiet()
                candidate.seconds(1)
                samples[name] += candidate.seconds(steps[name])
        bandwidth = float(np.median(bandwidths))
        rows += [
            _row(model, name, candidates[name], context, threads, samples[name], bandwidth, run_id)
            for name in candidates
        ]
    return rows


def _prepare(candidate: Candidate, context: int, seconds: float) -> int:
    """Fill the context; steps that take about `seconds`, three at least."""
    candidate.set_context(context)
    once = min(candidate.seconds(3))
    return max(3, int(seconds / once))


def _row(
    model: str, name: str, candidate: Candidate, context: int, threads: int, samples: Sequence[float],
    bandwidth: float, run_id: str,
) -> Row:  # fmt: skip
    timing = summarize(list(samples))
    read = candidate.bytes_per_token(context)
    rate = read / timing.median_us * 1e6 if read else None
    return {
        "model": model,
        "candidate": name,
        "family": candidate.family,
        "device": provenance.cpu_name(),
        "isa": candidate.isa,
        "threads": threads,
        "context": context,
        "tokens_per_s": 1e6 / timing.median_us,
        "median_us": timing.median_us,
        "spread_us": timing.spread_us,
        "repeats": timing.repeats,
        "bytes_per_token": read,
        "bytes_per_s": rate,
        "share_of_bandwidth": rate / bandwidth if rate else None,
        "read_bandwidth": bandwidth,
        "run_id": run_id,
    }
