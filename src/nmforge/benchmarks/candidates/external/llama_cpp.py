"""llama.cpp as a decoder of whole models."""

from __future__ import annotations

import ctypes
import time

import numpy as np

from nmforge.benchmarks.candidates.external.registry import REGISTRY, Library


class LlamaModel:
    """A GGUF model in llama.cpp on the CPU, its cache cut back to `tokens` tokens after every call."""

    def __init__(self, gguf: str, threads: int, context: int) -> None:
        import llama_cpp

        self.llama = llama_cpp.llama_cpp
        self.llama.llama_backend_init()
        options = self.llama.llama_model_default_params()
        options.n_gpu_layers = 0
        self.model = self.llama.llama_model_load_from_file(gguf.encode(), options)
        if not self.model:
            raise RuntimeError(f"llama.cpp cannot load {gguf}")
        settings = self.llama.llama_context_default_params()
        settings.n_ctx, settings.n_threads, settings.n_threads_batch = context, threads, threads
        self.state = self.llama.llama_init_from_model(self.model, settings)
        if not self.state:
            raise RuntimeError(f"llama.cpp cannot make a context of {context} tokens for {gguf}")
        self.memory = self.llama.llama_get_memory(self.state)
        self.vocabulary = self.llama.llama_vocab_n_tokens(self.llama.llama_model_get_vocab(self.model))
        self.tokens = 0

    def _decode(self, tokens: np.ndarray) -> float:
        """Seconds to append int32 tokens to the cache."""
        ids = (ctypes.c_int32 * len(tokens))(*tokens.tolist())
        batch = self.llama.llama_batch_get_one(ids, len(tokens))
        start = time.perf_counter()
        code = self.llama.llama_decode(self.state, batch)
        self.llama.llama_synchronize(self.state)
        if code != 0:
            raise RuntimeError(f"llama_decode returned {code}; the context may be too short")
        return time.perf_counter() - start

    def _random(self, count: int) -> np.ndarray:
        return np.random.default_rng(count).integers(0, self.vocabulary, count, dtype=np.int32)

    @property
    def description(self) -> str:
        """llama.cpp's own words for the model."""
        text = ctypes.create_string_buffer(256)
        self.llama.llama_model_desc(self.model, text, len(text))
        return text.value.decode()

    @property
    def cache_bytes(self) -> int:
        """Keys and values of one token, f16."""
        llama, model = self.llama, self.model
        head = llama.llama_model_n_embd(model) // llama.llama_model_n_head(model)
        return int(2 * 2 * llama.llama_model_n_layer(model) * llama.llama_model_n_head_kv(model) * head)

    def fill(self, tokens: int) -> float:
        """Empty the cache and prefill it; seconds."""
        self.llama.llama_memory_clear(self.memory, True)
        size = self.llama.llama_n_batch(self.state)
        ids = self._random(tokens)
        self.tokens = tokens
        return sum(self._decode(ids[i : i + size]) for i in range(0, tokens, size))

    def decode(self, steps: int) -> list[float]:
        """Seconds of every token, one at a time, after one that wakes the threads; each is forgotten again."""
        seconds = []
        for token in self._random(steps + 1):
            seconds.append(self._decode(token[None]))
            if not self.llama.llama_memory_seq_rm(self.memory, 0, self.tokens, -1):
                raise RuntimeError("llama.cpp cannot cut this model's cache back")
        return seconds[1:]

    def close(self) -> None:
        """Give the memory back."""
        self.llama.llama_free(self.state)
        self.llama.llama_model_free(self.model)


REGISTRY.add(
    Library(
        name="llamacpp",
        summary="llama.cpp, which decodes GGUF models",
        package="llama-cpp-python",
        module="llama_cpp",
        file=__file__,
        load=LlamaModel,
    )
)
