"""What client and server say to each other, and what a library's file gives the server.

One JSON request a line on the server's stdin, one JSON reply a line on its stdout. A reply holds `error` where the
request failed. Requests (`op`, and its fields) and what they reply:

    hello                                      kernels, versions: of the libraries that are installed
    prepare  id kernel threads copies npz      weight_bytes, path (which code the library chose); npz: a Task
    output   id copy file                      -, and the product by one copy, float32[M, N], in the .npy file
    run      id calls                          seconds of one run, the mean of `calls`; a run multiplies by every copy
    load     id library model threads context  cache_bytes (keys and values of one token), description
    context  id tokens                         seconds the prefill of that many pseudo-random tokens took
    decode   id steps                          seconds, a list: one token at a time, always after `tokens` tokens
    release  id                                -, and the product or model `id` is gone

`run`, `output`, `context` and `decode` reply once the threads of the library are asleep, so that the caller's own
kernels have the cores.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Message = dict[str, Any]


def to_line(message: Message) -> str:
    """A request or a reply as it goes through a pipe."""
    return json.dumps(message) + "\n"


def from_line(line: str) -> Message:
    """The request or reply of a line."""
    message: Message = json.loads(line)
    return message


@dataclass(frozen=True)
class Task:
    """A product: codes int8[N, K] in -8..7, scales float32[N, K / G], x float32[M, K]."""

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    x: NDArray[np.float32]

    @property
    def n(self) -> int:
        """Rows of the weight."""
        return int(self.codes.shape[0])

    @property
    def k(self) -> int:
        """Columns of the weight."""
        return int(self.codes.shape[1])

    @property
    def m(self) -> int:
        """Tokens."""
        return int(self.x.shape[0])

    @property
    def groups(self) -> int:
        """Groups of weights in a row."""
        return int(self.scales.shape[1])

    def dense(self) -> NDArray[np.float32]:
        """The weight, float32[N, K]."""
        grouped = self.codes.reshape(self.n, self.groups, -1) * self.scales[:, :, None]
        return np.ascontiguousarray(grouped.reshape(self.n, self.k), dtype=np.float32)

    def save(self, path: Path) -> None:
        """Write an .npz file."""
        np.savez(path, codes=self.codes, scales=self.scales, x=self.x)

    @classmethod
    def load(cls, path: str) -> Task:
        """Read an .npz file."""
        with np.load(path) as arrays:
            return cls(arrays["codes"], arrays["scales"], arrays["x"])


class Product(Protocol):
    """A library's product, its weights stored `copies` times.

    Copy i has its rows rotated by i, so that no library can take two copies for one.
    """

    @property
    def weight_bytes(self) -> int:
        """What one product reads of the weights."""

    @property
    def path(self) -> str:
        """Which code the library chose."""

    def run(self) -> None:
        """Multiply by every copy once."""

    def output(self, copy: int) -> NDArray[np.float32]:
        """The product by one copy, float32[M, N]."""

    def close(self) -> None:
        """Give the memory back."""


class Decoder(Protocol):
    """A whole model in a library."""

    @property
    def description(self) -> str:
        """The library's own words for the model."""

    @property
    def cache_bytes(self) -> int:
        """Keys and values of one token."""

    def fill(self, tokens: int) -> float:
        """Empty the cache and prefill it with pseudo-random tokens; seconds."""

    def decode(self, steps: int) -> list[float]:
        """Seconds of every token, one at a time, each forgotten again."""

    def close(self) -> None:
        """Give the memory back."""


MakeProduct = Callable[[Task, int, int], Product]  # of a task, threads, copies
LoadDecoder = Callable[[str, int, int], Decoder]  # of a model's file, threads, tokens of its cache
