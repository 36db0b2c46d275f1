"""Types of `csrc/bindings/decoder.cpp`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmforge.kernels._native import w4a8

class AttentionShape:
    def __init__(self, heads: int, kv_heads: int, head_size: int) -> None: ...

class ModelArrays:
    def __init__(
        self,
        final_norm: NDArray[np.float32],
        embedding: NDArray[np.uint16],
        head: NDArray[np.uint16],
        cosines: NDArray[np.float32],
        sines: NDArray[np.float32],
    ) -> None: ...

class LanguageModel:
    def __init__(
        self,
        isa: str,
        attention: AttentionShape,
        eps: float,
        blocks: Sequence[Sequence[w4a8.Linear | NDArray[np.uint16] | NDArray[np.float32]]],
        arrays: ModelArrays,
    ) -> None: ...
    def forward(self, tokens: NDArray[np.int32], threads: int) -> NDArray[np.float32]: ...
    def fill(self, count: int, seed: int) -> None: ...
    def truncate(self, length: int) -> None: ...
    @property
    def length(self) -> int: ...
