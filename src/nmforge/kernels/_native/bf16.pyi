"""Types of `csrc/bindings/bf16.cpp`. Without `available()`, the others must not be called."""

import numpy as np
from numpy.typing import NDArray

def available() -> bool: ...
def multiply_rows(x: NDArray[np.float32], w: NDArray[np.float32], out: NDArray[np.float32], threads: int) -> None: ...
def add_outer_products(
    y: NDArray[np.float32], x: NDArray[np.float32], upper: bool, total: NDArray[np.float32], threads: int
) -> None: ...
