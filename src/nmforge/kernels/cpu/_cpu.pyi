"""Types of the compiled extension (`binding.cpp`)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

def isas() -> list[str]: ...
def reach(isa: str) -> int: ...
def read_bytes(isa: str, data: NDArray[np.uint8], threads: int) -> int: ...
def multiply_bytes(isa: str, rounds: int, threads: int) -> int: ...

class Linear:
    def __init__(
        self,
        isa: str,
        n: int,
        k: int,
        groups: int,
        code_bits: int,
        index_bits: int,
        planes: NDArray[np.uint8],
        mult: NDArray[np.uint8],
        start: NDArray[np.int32],
        row_scale: NDArray[np.float32],
        step_base: NDArray[np.uint32],
        lane_base: NDArray[np.uint32],
        flush_end: NDArray[np.uint32],
        flush_group: NDArray[np.uint32],
    ) -> None: ...
    def accumulate(self, xq: NDArray[np.int8], threads: int) -> NDArray[np.int32]: ...
    def forward(self, x: NDArray[np.float32], threads: int) -> NDArray[np.float32]: ...

class LanguageModel:
    def __init__(
        self,
        isa: str,
        heads: int,
        kv_heads: int,
        head_size: int,
        eps: float,
        blocks: Sequence[Sequence[Any]],
        final_norm: NDArray[np.float32],
        embedding: NDArray[np.uint16],
        head: NDArray[np.uint16],
        cosines: NDArray[np.float32],
        sines: NDArray[np.float32],
    ) -> None: ...
    def forward(self, tokens: NDArray[np.int32], threads: int) -> NDArray[np.float32]: ...
    def fill(self, count: int, seed: int) -> None: ...
    def truncate(self, length: int) -> None: ...
    @property
    def length(self) -> int: ...
