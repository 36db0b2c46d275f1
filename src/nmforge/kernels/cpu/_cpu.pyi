"""Types of the compiled extension (`binding.cpp`)."""

import numpy as np
from numpy.typing import NDArray

def isas() -> list[str]: ...

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
