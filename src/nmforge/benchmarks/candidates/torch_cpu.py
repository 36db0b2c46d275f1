"""torch on the CPU: dense float products, and its weight-only INT4 product."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from nmforge.benchmarks.candidates.registry import REGISTRY, Kernel
from nmforge.benchmarks.problem import Prepared, Problem, in_sequence
from nmforge.core import reference
from nmforge.core.formats import DENSE, GemmShape, Pattern, QuantScheme
from nmforge.core.lazy import torch

INNER_TILES = 2  # of the packed format; the CPU product ignores it
INT4_GROUPS = (32, 64, 128, 256)


def dense(problem: Problem, bits: int) -> Prepared:
    """`torch.nn.functional.linear` with dense float32 or bfloat16 weights."""
    dtype = {32: torch.float32, 16: torch.bfloat16}[bits]
    weight = torch.from_numpy(reference.dequantize(problem.linear)).to(dtype)
    x = torch.from_numpy(problem.x).to(dtype)
    weights = [weight] + [weight.clone() for _ in range(problem.copies - 1)]
    calls: list[Callable[[], object]] = [dense_product(problem, x, w) for w in weights]
    return Prepared(in_sequence(calls), lambda: to_numpy(dense_product(problem, x, weight)()), weight.nbytes)


def int4pack(problem: Problem) -> Prepared:
    """torch's weight-only INT4 product (`_weight_int4pack_mm_for_cpu`): bf16 activations, group scales in bf16."""
    ops, linear = torch.ops.aten, problem.linear
    codes = torch.from_numpy(linear.codes.astype(np.int32) + 8)
    scales = torch.from_numpy((linear.group_mult.astype(np.float32) * linear.row_scale[:, None]).T.copy())
    table = torch.stack([scales, torch.zeros_like(scales)], dim=2).bfloat16().contiguous()  # [K / G, N, 2]
    packed = ops._convert_weight_to_int4pack_for_cpu(codes, INNER_TILES)
    x = torch.from_numpy(problem.x).bfloat16()
    multiply = ops._weight_int4pack_mm_for_cpu
    stored = [(packed, table)] + [(packed.clone(), table.clone()) for _ in range(problem.copies - 1)]

    def call(weight: torch.Tensor, scale: torch.Tensor) -> Callable[[], torch.Tensor]:
        return on_threads(problem, lambda: multiply(x, weight, linear.group_size, scale))

    calls: list[Callable[[], object]] = [call(*pair) for pair in stored]
    first = call(*stored[0])
    return Prepared(in_sequence(calls), lambda: to_numpy(first()), packed.nbytes + table.nbytes)


def int4pack_unsupported_reason(pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    """Why `_weight_int4pack_mm_for_cpu` cannot hold such a layer."""
    bits, group_size, n, k = scheme.bits, scheme.group_size or shape.k, shape.n, shape.k
    if bits != 4:
        return f"int4pack holds 4-bit codes, not {bits}"
    if group_size not in INT4_GROUPS:
        return f"int4pack has no groups of {group_size}; it has {INT4_GROUPS}"
    return None if n % 16 == 0 and k % 32 == 0 else f"int4pack needs N % 16 == 0 and K % 32 == 0, not {n} x {k}"


def dense_product(problem: Problem, x: torch.Tensor, weight: torch.Tensor) -> Callable[[], torch.Tensor]:
    """A call that gives `x @ weight.T` on the threads of the problem."""
    multiply = torch.nn.functional.linear
    return on_threads(problem, lambda: multiply(x, weight))


def on_threads(problem: Problem, product: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    """A call of `product` on the threads of the problem, without gradients."""
    # bound here, so that no timed call looks them up through the lazy module
    get_threads, set_threads, inference_mode = torch.get_num_threads, torch.set_num_threads, torch.inference_mode

    def call() -> torch.Tensor:
        if get_threads() != problem.threads:
            set_threads(problem.threads)
        with inference_mode():
            return product()

    return call


def to_numpy(y: torch.Tensor) -> np.ndarray:
    """float32 on the CPU."""
    return y.to(torch.float32).cpu().numpy()


for _name, _bits in (("torch-fp32", 32), ("torch-bf16", 16)):
    REGISTRY.add(
        Kernel(
            _name,
            f"torch, dense float{_bits}" if _bits == 32 else "torch, dense bfloat16",
            "library",
            DENSE,
            _bits,
            partial(dense, bits=_bits),
            at_llama7b=_bits == 16,
        )
    )
REGISTRY.add(Kernel("torch-int4", "torch's INT4 product", "library", DENSE, 4, int4pack, int4pack_unsupported_reason))
