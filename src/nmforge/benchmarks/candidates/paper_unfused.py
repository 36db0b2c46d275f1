"""The paper's path: codes times scales to a dense matrix, then a matmul with that; on the CPU and on a GPU, via torch.

Two stages are timed: the matmul alone, with weights that were dequantized before, and both steps together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nmforge.benchmarks.candidates import torch_cpu, torch_cuda
from nmforge.benchmarks.candidates.registry import REGISTRY, Kernel
from nmforge.benchmarks.cuda_timer import prepared
from nmforge.benchmarks.problem import Prepared, Problem, in_sequence
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.formats import DENSE, Pattern
from nmforge.core.lazy import torch
from nmforge.kernels.gpu.device import DEVICE


def matmul(problem: Problem) -> Prepared:
    """The matmul alone, with the dense float32 matrix the weights were dequantized to, zeros included."""
    return torch_cpu.dense(problem, 32)


def end_to_end(problem: Problem) -> Prepared:
    """The whole path per call: int8 codes times scales to a dense float32 matrix, then matmul."""
    codes, scales = dequantizable(problem.linear)
    x, multiply = torch.from_numpy(problem.x), torch.nn.functional.linear
    copies = [(codes, scales)] + [(codes.clone(), scales.clone()) for _ in range(problem.copies - 1)]

    def call(c: torch.Tensor, s: torch.Tensor) -> Callable[[], torch.Tensor]:
        shape = (problem.linear.n, problem.linear.k)
        return torch_cpu.on_threads(problem, lambda: multiply(x, (c * s).view(shape)))

    calls: list[Callable[[], object]] = [call(c, s) for c, s in copies]
    first = call(codes, scales)
    return Prepared(in_sequence(calls), lambda: torch_cpu.to_numpy(first()), codes.nbytes + scales.nbytes)


def end_to_end_gpu(problem: Problem) -> Prepared:
    """Per call: int8 codes times scales to dense fp16, its compression to 2:4 where sparse, then matmul."""
    x, multiply = torch_cuda.activations(problem), torch.nn.functional.linear
    codes, scales = (part.to(DEVICE) for part in dequantizable(problem.linear))
    shape = (problem.linear.n, problem.linear.k)

    def call(c: torch.Tensor, s: torch.Tensor) -> Callable[[], torch.Tensor]:
        return lambda: multiply(x, torch_cuda.tensor_core_format(problem, (c * s).view(shape)))

    calls = [call(codes.clone(), scales.to(torch.float16, copy=True)) for _ in range(problem.copies)]
    return prepared(calls, len(problem.x), codes.nbytes + scales.nbytes // 2)


def dequantizable(linear: CompressedLinear) -> tuple[torch.Tensor, torch.Tensor]:
    """Dense-layout codes int8[N, groups, G], pruned ones 0, and scales float32[N, groups, 1]."""
    scales = linear.group_mult.astype(np.float32) * linear.row_scale[:, None]
    codes = linear.codes.reshape(linear.n, -1, linear.group_size)
    return torch.from_numpy(codes), torch.from_numpy(scales[:, :, None])


for _pattern in (DENSE, Pattern(2, 4)):
    _word, _reason = _pattern.label, torch_cuda.unsupported_reason
    for _kernel in (
        Kernel(f"paper-matmul-only-{_word}", f"the paper's matmul, {_word}", "baseline", _pattern, 4, matmul),
        Kernel(
            f"paper-end-to-end-{_word}",
            f"the paper's dequantization and matmul, {_word}",
            "baseline",
            _pattern,
            4,
            end_to_end,
            stage="end_to_end",
        ),
        Kernel(
            f"gpu-paper-matmul-only-{_word}",
            f"the paper's matmul on a GPU, {_word}",
            "baseline",
            _pattern,
            4,
            torch_cuda.matmul_only,
            _reason,
            on_gpu=True,
            at_llama7b=True,
        ),
        Kernel(
            f"gpu-paper-end-to-end-{_word}",
            f"the paper's dequantization and matmul on a GPU, {_word}",
            "baseline",
            _pattern,
            4,
            end_to_end_gpu,
            _reason,
            stage="end_to_end",
            on_gpu=True,
        ),
    ):
        REGISTRY.add(_kernel)
