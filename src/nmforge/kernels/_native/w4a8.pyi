"""Types of `csrc/bindings/w4a8.cpp`; `csrc/w4a8/layout.hpp` draws the arrays."""

import numpy as np
from numpy.typing import NDArray

TILE_ROWS: int
STEP_BYTES: int
BLOCK_STEPS: int
MAX_INDEX_BITS: int

def isas() -> list[str]: ...
def gather_width(isa: str) -> int: ...
def read_bytes(isa: str, data: NDArray[np.uint8], threads: int) -> int: ...
def multiply_bytes(isa: str, rounds: int, threads: int) -> int: ...

class LayerSizes:
    def __init__(self, n: int, k: int, groups: int, code_bits: int, index_bits: int) -> None: ...

class LayerWeights:
    def __init__(
        self,
        planes: NDArray[np.uint8],
        mult: NDArray[np.uint8],
        bias_correction: NDArray[np.int32],
        row_scale: NDArray[np.float32],
    ) -> None: ...

class LayerSteps:
    def __init__(
        self,
        gather_base: NDArray[np.uint32],
        lane_base: NDArray[np.uint32],
        segment_end: NDArray[np.uint32],
        segment_group: NDArray[np.uint32],
    ) -> None: ...

class Linear:
    def __init__(self, isa: str, sizes: LayerSizes, weights: LayerWeights, steps: LayerSteps) -> None: ...
    def accumulate(self, xq: NDArray[np.int8], threads: int) -> NDArray[np.int32]: ...
    def forward(self, x: NDArray[np.float32], threads: int) -> NDArray[np.float32]: ...
