"""The paper's path on a GPU, through torch: fp16 dense, 2:4 tensor cores, and dequantization before each.

2:4 weights become torch's semi-structured format. A run ends with a synchronization, so host timers see all of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from nmforge import reference
from nmforge.kernels.problem import Prepared, Problem
from nmforge.kernels.torch_cpu import unfused_weights
from nmforge.spec import Pattern

DEVICE = "cuda"
MIN_ROWS = 8  # activations are padded to this: cuSPARSELt takes no fewer columns


def why_unsupported(pattern: Pattern, n: int, k: int) -> str | None:
    """Why this machine or the format cannot run it; None where they can."""
    if not torch.cuda.is_available():
        return "torch finds no CUDA device on this machine"
    if pattern.is_dense:
        return None
    if pattern != Pattern(2, 4):
        return f"sparse tensor cores compute 2:4 only, not {pattern}"
    if torch.cuda.get_device_capability() < (8, 0):
        return "sparse tensor cores need compute capability 8.0 or newer"
    return None if n % 64 == 0 and k % 64 == 0 else f"semi-structured weights need multiples of 64, not {n} x {k}"


def device_name() -> str:
    """`cuda: ` and the name of the GPU."""
    return f"cuda: {torch.cuda.get_device_name()}"


def matmul_only(problem: Problem) -> Prepared:
    """fp16 matmul with weights dequantized (and compressed, for 2:4) beforehand."""
    x = _activations(problem)
    weight = torch.from_numpy(reference.dequantize(problem.linear)).to(DEVICE, torch.float16)
    stored = [_format(problem, weight.clone()) for _ in range(problem.copies)]
    share = 1.0 if problem.linear.pattern.is_dense else 9 / 16  # half of the values, and two bits per kept value
    return _prepared(problem, [_product(x, w) for w in stored], round(weight.nbytes * share))


def end_to_end(problem: Problem) -> Prepared:
    """Per call: int8 codes times scales to dense fp16, its compression to 2:4 where sparse, then matmul."""
    x = _activations(problem)
    codes, scales = (part.to(DEVICE) for part in unfused_weights(problem.linear))
    calls: list[Callable[[], torch.Tensor]] = []
    for _ in range(problem.copies):
        calls.append(_dequantized_product(problem, x, codes.clone(), scales.to(torch.float16, copy=True)))
    return _prepared(problem, calls, codes.nbytes + scales.nbytes // 2)


def _activations(problem: Problem) -> torch.Tensor:
    rows = max(MIN_ROWS, -(-problem.x.shape[0] // MIN_ROWS) * MIN_ROWS)
    padded = np.zeros((rows, problem.linear.k), dtype=np.float32)
    padded[: problem.x.shape[0]] = problem.x
    return torch.from_numpy(padded).to(DEVICE, torch.float16)


def _format(problem: Problem, weight: torch.Tensor) -> torch.Tensor:
    return weight if problem.linear.pattern.is_dense else torch.sparse.to_sparse_semi_structured(weight)


def _product(x: torch.Tensor, weight: torch.Tensor) -> Callable[[], torch.Tensor]:
    return lambda: torch.nn.functional.linear(x, weight)


def _dequantized_product(
    problem: Problem, x: torch.Tensor, codes: torch.Tensor, scales: torch.Tensor
) -> Callable[[], torch.Tensor]:
    shape = (problem.linear.n, problem.linear.k)
    return lambda: torch.nn.functional.linear(x, _format(problem, (codes * scales).view(shape)))


def _prepared(problem: Problem, calls: list[Callable[[], torch.Tensor]], weight_bytes: int) -> Prepared:
    def run() -> None:
        with torch.inference_mode():
            for call in calls:
                call()
        torch.cuda.synchronize()

    def output() -> np.ndarray:
        with torch.inference_mode():
            return calls[0]()[: problem.x.shape[0]].to(torch.float32).cpu().numpy()

    return Prepared(run, output, weight_bytes)
