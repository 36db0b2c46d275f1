"""torch on the CPU: the dense baselines, and the paper's unfused path (dequantize, then matmul)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from nmforge import reference
from nmforge.kernels.problem import Prepared, Problem, repeated
from nmforge.linear import CompressedLinear

DTYPES = {32: torch.float32, 16: torch.bfloat16}


def dense(problem: Problem, bits: int) -> Prepared:
    """`torch.nn.functional.linear` with dense float32 or bfloat16 weights."""
    weight = torch.from_numpy(reference.dequantize(problem.linear)).to(DTYPES[bits])
    x = torch.from_numpy(problem.x).to(DTYPES[bits])
    weights = [weight] + [weight.clone() for _ in range(problem.copies - 1)]
    calls: list[Callable[[], object]] = [_linear(problem, x, w) for w in weights]
    return Prepared(repeated(calls), lambda: _to_numpy(_linear(problem, x, weight)()), weight.nbytes)


def unfused_matmul(problem: Problem) -> Prepared:
    """The matmul of the unfused path alone: the dense matrix it was dequantized to, zeros included."""
    return dense(problem, 32)


def unfused_end_to_end(problem: Problem) -> Prepared:
    """The whole unfused path per call: int8 codes times scales to a dense float32 matrix, then matmul."""
    codes, scales = unfused_weights(problem.linear)
    x = torch.from_numpy(problem.x)
    stored = [(codes, scales)] + [(codes.clone(), scales.clone()) for _ in range(problem.copies - 1)]

    def call(c: torch.Tensor, s: torch.Tensor) -> Callable[[], torch.Tensor]:
        return lambda: _linear(problem, x, (c * s).view(problem.linear.n, problem.linear.k))()

    calls: list[Callable[[], object]] = [call(c, s) for c, s in stored]
    first = call(codes, scales)
    return Prepared(repeated(calls), lambda: _to_numpy(first()), codes.nbytes + scales.nbytes)


def unfused_weights(linear: CompressedLinear) -> tuple[torch.Tensor, torch.Tensor]:
    """Dense-layout codes int8[N, groups, G], pruned ones 0, and scales float32[N, groups, 1]."""
    scales = linear.group_mult.astype(np.float32) * linear.row_scale[:, None]
    codes = linear.codes.reshape(linear.n, -1, linear.group_size)
    return torch.from_numpy(codes), torch.from_numpy(scales[:, :, None])


def _linear(problem: Problem, x: torch.Tensor, weight: torch.Tensor) -> Callable[[], torch.Tensor]:
    def call() -> torch.Tensor:
        if torch.get_num_threads() != problem.threads:
            torch.set_num_threads(problem.threads)
        with torch.inference_mode():
            return torch.nn.functional.linear(x, weight)

    return call


def _to_numpy(y: torch.Tensor) -> np.ndarray:
    return y.to(torch.float32).cpu().numpy()
