"""The paper's path on a GPU, through torch: fp16 dense, 2:4 tensor cores, and dequantization before each.

2:4 weights become torch's semi-structured format. torch's weight-only INT4 product stands beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from nmforge.benchmarks.candidates.torch_cpu import INT4_GROUPS, unfused_weights
from nmforge.benchmarks.cuda_timer import prepared
from nmforge.benchmarks.problem import Prepared, Problem
from nmforge.core import reference
from nmforge.core.formats import Pattern

DEVICE = "cuda"
INNER_TILES = 8  # of 16 weights along K in torch's INT4 format
MIN_ROWS = 8  # activations of sparse products are padded to this: cuSPARSELt takes no fewer columns


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


def why_no_int4pack(bits: int, group_size: int, n: int, k: int) -> str | None:
    """Why torch's weight-only INT4 product cannot run on this machine or hold such a layer; None where it can."""
    if not torch.cuda.is_available():
        return "torch finds no CUDA device on this machine"
    if bits != 4 or group_size not in INT4_GROUPS:
        return f"torch holds 4-bit codes in groups of {INT4_GROUPS}, not {bits} bits in groups of {group_size}"
    fits = n % 8 == 0 and k % (16 * INNER_TILES) == 0
    return None if fits else f"torch needs N % 8 == 0 and K % {16 * INNER_TILES} == 0, not {n} x {k}"


def device_name() -> str:
    """`cuda: ` and the name of the GPU."""
    return f"cuda: {torch.cuda.get_device_name()}"


def cache_bytes() -> int:
    """Bytes of the GPU's second-level cache."""
    return int(torch.cuda.get_device_properties(DEVICE).L2_cache_size)


def matmul_only(problem: Problem) -> Prepared:
    """fp16 matmul with weights dequantized (and compressed, for 2:4) beforehand."""
    x = _activations(problem)
    weight = torch.from_numpy(reference.dequantize(problem.linear)).to(DEVICE, torch.float16)
    stored = [_format(problem, weight.clone()) for _ in range(problem.copies)]
    share = 1.0 if problem.linear.pattern.is_dense else 9 / 16  # half of the values, and two bits per kept value
    return prepared([_product(x, w) for w in stored], len(problem.x), round(weight.nbytes * share))


def end_to_end(problem: Problem) -> Prepared:
    """Per call: int8 codes times scales to dense fp16, its compression to 2:4 where sparse, then matmul."""
    x = _activations(problem)
    codes, scales = (part.to(DEVICE) for part in unfused_weights(problem.linear))
    calls: list[Callable[[], torch.Tensor]] = []
    for _ in range(problem.copies):
        calls.append(_dequantized_product(problem, x, codes.clone(), scales.to(torch.float16, copy=True)))
    return prepared(calls, len(problem.x), codes.nbytes + scales.nbytes // 2)


def int4pack(problem: Problem) -> Prepared:
    """torch's weight-only INT4 product (`_weight_int4pack_mm`): bf16 activations, group scales in bf16."""
    linear = problem.linear
    above = torch.from_numpy(linear.codes.astype(np.uint8) + np.uint8(8)).to(DEVICE) & 15
    packed = torch._convert_weight_to_int4pack(above[:, ::2] << 4 | above[:, 1::2], INNER_TILES)
    scales = torch.from_numpy((linear.group_mult.astype(np.float32) * linear.row_scale[:, None]).T.copy())
    table = torch.stack([scales, torch.zeros_like(scales)], dim=2).to(DEVICE, torch.bfloat16)  # [K / G, N, 2]
    x = torch.from_numpy(problem.x).to(DEVICE, torch.bfloat16)

    def product(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return torch._weight_int4pack_mm(x, weight, linear.group_size, scale)

    calls = [partial(product, packed.clone(), table.clone()) for _ in range(problem.copies)]
    return prepared(calls, len(problem.x), packed.nbytes + table.nbytes)


def _activations(problem: Problem) -> torch.Tensor:
    rows = problem.x.shape[0]
    if not problem.linear.pattern.is_dense:
        rows = -(-rows // MIN_ROWS) * MIN_ROWS
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
