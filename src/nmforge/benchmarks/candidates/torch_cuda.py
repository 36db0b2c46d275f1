"""torch on a GPU: fp16 products with dense weights or on 2:4 tensor cores, and its weight-only INT4 product.

2:4 weights become torch's semi-structured format.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from nmforge.benchmarks.candidates.registry import REGISTRY, Kernel
from nmforge.benchmarks.candidates.torch_cpu import INT4_GROUPS
from nmforge.benchmarks.cuda_timer import prepared
from nmforge.benchmarks.problem import Prepared, Problem
from nmforge.core import reference
from nmforge.core.formats import DENSE, GemmShape, Pattern, QuantScheme
from nmforge.core.lazy import torch
from nmforge.kernels.gpu.device import DEVICE

INNER_TILES = 8  # of 16 weights along K in torch's INT4 format
MIN_ROWS = 8  # activations of sparse products are padded to this: cuSPARSELt takes no fewer columns


def unsupported_reason(pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    """Why this machine cannot run an fp16 product with dense or 2:4 weights of this shape."""
    n, k = shape.n, shape.k
    if not torch.cuda.is_available():
        return "torch finds no CUDA device on this machine"
    if pattern.is_dense:
        return None
    if pattern != Pattern(2, 4):
        return f"sparse tensor cores compute 2:4 only, not {pattern}"
    if torch.cuda.get_device_capability() < (8, 0):
        return "sparse tensor cores need compute capability 8.0 or newer"
    return None if n % 64 == 0 and k % 64 == 0 else f"semi-structured weights need multiples of 64, not {n} x {k}"


def int4pack_unsupported_reason(pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    """Why torch's weight-only INT4 product cannot run on this machine or hold such a layer."""
    bits, group_size, n, k = scheme.bits, scheme.group_size or shape.k, shape.n, shape.k
    if not torch.cuda.is_available():
        return "torch finds no CUDA device on this machine"
    if bits != 4 or group_size not in INT4_GROUPS:
        return f"torch holds 4-bit codes in groups of {INT4_GROUPS}, not {bits} bits in groups of {group_size}"
    fits = n % 8 == 0 and k % (16 * INNER_TILES) == 0
    return None if fits else f"torch needs N % 8 == 0 and K % {16 * INNER_TILES} == 0, not {n} x {k}"


def matmul_only(problem: Problem) -> Prepared:
    """fp16 matmul with weights dequantized (and compressed, for 2:4) beforehand."""
    x = activations(problem)
    weight = torch.from_numpy(reference.dequantize(problem.linear)).to(DEVICE, torch.float16)
    stored = [tensor_core_format(problem, weight.clone()) for _ in range(problem.copies)]
    share = 1.0 if problem.linear.pattern.is_dense else 9 / 16  # half of the values, and two bits per kept value
    return prepared([_product(x, w) for w in stored], len(problem.x), round(weight.nbytes * share))


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


def activations(problem: Problem) -> torch.Tensor:
    """fp16[rows, K] on the GPU; with sparse weights, rows are padded with zeros to a multiple of MIN_ROWS."""
    rows = problem.x.shape[0]
    if not problem.linear.pattern.is_dense:
        rows = -(-rows // MIN_ROWS) * MIN_ROWS
    padded = np.zeros((rows, problem.linear.k), dtype=np.float32)
    padded[: problem.x.shape[0]] = problem.x
    return torch.from_numpy(padded).to(DEVICE, torch.float16)


def tensor_core_format(problem: Problem, weight: torch.Tensor) -> torch.Tensor:
    """The weight as its product takes it: compressed to 2:4 where it is sparse."""
    return weight if problem.linear.pattern.is_dense else torch.sparse.to_sparse_semi_structured(weight)


def _product(x: torch.Tensor, weight: torch.Tensor) -> Callable[[], torch.Tensor]:
    return lambda: torch.nn.functional.linear(x, weight)


REGISTRY.add(
    Kernel(
        "gpu-torch-fp16",
        "torch on a GPU, dense float16",
        "library",
        DENSE,
        16,
        matmul_only,
        unsupported_reason,
        on_gpu=True,
        at_llama7b=True,
    )
)
REGISTRY.add(
    Kernel(
        "gpu-torch-int4",
        "torch's INT4 product on a GPU",
        "library",
        DENSE,
        4,
        int4pack,
        int4pack_unsupported_reason,
        on_gpu=True,
        at_llama7b=True,
    )
)
