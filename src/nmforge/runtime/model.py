"""An artifact as a Python object: its layers, to multiply with, and the text its model writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from nmforge.artifact.format import load_linear
from nmforge.artifact.header import read_header
from nmforge.core import reference
from nmforge.core.compressed_linear import CompressedLinear, Float32
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.kernels.cpu.linear import CpuLinear
from nmforge.runtime.continuation import Generated, GenerationSettings
from nmforge.runtime.native import CONTEXT, NativeModel, load_native
from nmforge.runtime.native_text import generate_native


@dataclass(frozen=True, eq=False)
class Layer:
    """One compressed linear layer `W[N, K]` of an artifact.

    data: codes, mask and scales, as every backend reads them.
    """

    name: str
    data: CompressedLinear

    @property
    def shape(self) -> tuple[int, int]:
        """(N, K): output and input channels."""
        return self.data.n, self.data.k

    @property
    def pattern(self) -> Pattern:
        """N:M sparsity along K."""
        return self.data.pattern

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.data.bits

    @property
    def group_size(self) -> int:
        """Weights along K that share a multiplier."""
        return self.data.group_size

    def forward(self, x: Float32, backend: str = "cpu", threads: int = 1) -> Float32:
        """`y = x @ W.T` in mode W4A8: float32[M, K] -> float32[M, N], the same bits on every backend.

        backend: `cpu`, the C++ kernels on `threads` threads, or `reference`, NumPy.
        Raises NmforgeError for another backend, or an x of another type or shape or that is not finite.

        >>> import nmforge, numpy as np
        >>> layer = nmforge.load("toy.nmf.safetensors").layers["model.layers.0.mlp.down_proj"]
        >>> x = np.ones((1, 96), dtype=np.float32)
        >>> layer.forward(x, threads=2).shape
        (1, 48)
        """
        self._check(x)
        if backend == "cpu":
            return self._kernel.forward(x, threads)
        if backend == "reference":
            return reference.forward_w4a8(self.data, x)
        raise NmforgeError(f"backend {backend!r} of a layer is unknown; use cpu or reference")

    def dequantize(self) -> Float32:
        """The dense weights, float32[N, K], zero where pruned."""
        return reference.dequantize(self.data)

    @cached_property
    def _kernel(self) -> CpuLinear:
        return CpuLinear(self.data)

    def _check(self, x: Float32) -> None:
        if x.dtype != np.float32 or x.ndim != 2 or x.shape[1] != self.data.k:
            raise NmforgeError(
                f"layer {self.name}: activations are {x.dtype}{list(x.shape)}; pass float32[M, {self.data.k}]"
            )
        if not np.isfinite(x).all():
            raise NmforgeError(f"layer {self.name}: activations hold NaN or infinity; pass finite numbers")


class Layers:
    """The compressed layers of an artifact by name, each read from the file, its hashes checked, when it is asked for.

    Empty for an artifact left in bf16.
    """

    def __init__(self, path: Path, names: list[str]) -> None:
        self._path, self._names = path, names

    def __getitem__(self, name: str) -> Layer:
        """The layer of that name; raises NmforgeError where there is none or its tensors are altered."""
        return Layer(name, load_linear(self._path, name))

    def __iter__(self) -> Iterator[str]:
        """Names, in the order of the model."""
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"Layers({self._names})"


class Model:
    """An artifact that was opened by `load`."""

    def __init__(self, path: Path) -> None:
        """Read the header; raises NmforgeError where the file is missing, truncated, foreign or altered."""
        self.path, self.header = path, read_header(path)
        self.layers = Layers(path, list(self.header["layers"]))
        self._native: NativeModel | None = None

    def _decoder(self, needed: int) -> NativeModel:
        """The decoder, loaded once, and again where its context is shorter than the tokens needed."""
        if self._native is None or self._native.context < needed:
            self._native = load_native(self.path, max(needed, CONTEXT))
        return self._native

    def generate(
        self,
        prompt: str,
        tokens: int = 32,
        *,
        threads: int = 1,
        temperature: float = 0,
        seed: int = 0,
        stream: Callable[[str], object] | None = None,
    ) -> Generated:
        """Continue `prompt` by at most `tokens` tokens with the C++ decoder, which the first call loads.

        threads: of the kernels; they change no bit of the text. temperature: 0 takes the likeliest token, any other
        one samples from `seed`. stream: gets the text piece by piece.
        Raises NmforgeError where an argument makes no sense, the artifact is damaged, or the decoder has no code for
        its model. `nmforge.runtime.generate` has the other backends, RTL simulation among them.

        >>> import nmforge
        >>> made = nmforge.load("toy.nmf.safetensors").generate("Once", tokens=4)
        >>> len(made.token_ids)
        4
        """
        settings = GenerationSettings(tokens, threads=threads, temperature=temperature, seed=seed)
        return generate_native(self.path, prompt, settings, stream, self._decoder)

    def __repr__(self) -> str:
        return f"Model({str(self.path)!r}, {len(self.layers)} compressed layers)"


def load(path: str | os.PathLike[str]) -> Model:
    """Open an artifact. Its header is checked now, each tensor by its hash when it is read.

    Raises NmforgeError where the file is missing, truncated, foreign or altered.

    >>> import nmforge
    >>> nmforge.load("toy.nmf.safetensors")
    Model('toy.nmf.safetensors', 7 compressed layers)
    """
    return Model(Path(path))
