"""torch on the CPU: the dense baselines, and the paper's unfused path (dequantize, then matmul)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from nmforge.benchmarks.problem import Prepared, Problem, repeated
from nmforge.core import reference
from nmforge.core.compressed_linear import CompressedLinear

INNER_TILES = 2  # of the packed format; the CPU product ignores it
INT4_GROUPS = (32, 64, 128, 256)
DTYPES = {32: torch.float32, 16: torch.bfloat16}


def dense(problem: Problem, bits: int) -> Prepared:
    """`torch.nn.functional.linear` with dense float32 or bfloat16 weights."""
    weight = torch.from_numpy(reference.dequantize(problem.linear)).to(DTYPES[bits])
    x = torch.from_numpy(problem.x).to(DTYPES[bits])
    weights = [weight] + [weight.clone() for _ in range(problem.copies - 1)]
    calls: list[Callable[[], object]] = [_linear(problem, x, w) for w in weights]
    return Prepared(repeated(calls), lambda: _to_numpy(_linear(problem, x, weight)()), weight.nbytes)


def int4pack(problem: Problem) -> Prepared:
    """torch's weight-only INT4 product (`_weight_int4pack_mm_for_cpu`): bf16 activations, group scales in bf16."""
    ops, linear = torch.ops.aten, problem.linear
    codes = torch.from_numpy(linear.codes.astype(np.int32) + 8)
    scales = torch.from_numpy((linear.group_mult.astype(np.float32) * linear.row_scale[:, None]).T.copy())
    table = torch.stack([scales, torch.zeros_like(scales)], dim=2).bfloat16().contiguous()  # [K / G, N, 2]
    packed = ops._convert_weight_to_int4pack_for_cpu(codes, INNER_TILES)
    x = torch.from_numpy(problem.x).bfloat16()
    stored = [(packed, table)] + [(packed.clone(), table.clone()) for _ in range(problem.copies - 1)]

    def call(weight: torch.Tensor, scale: torch.Tensor) -> Callable[[], torch.Tensor]:
        return _on_threads(problem, lambda: ops._weight_int4pack_mm_for_cpu(x, weight, linear.group_size, scale))

    calls: list[Callable[[], object]] = [call(*pair) for pair in stored]
    first = call(*stored[0])
    return Prepared(repeated(calls), lambda: _to_numpy(first()), packed.nbytes + table.nbytes)


def why_no_int4pack(bits: int, group_size: int, n: int, k: int) -> str | None:
    """Why `_weight_int4pack_mm_for_cpu` cannot hold such a layer; None where it can."""
    if bits != 4:
        return f"int4pack holds 4-bit codes, not {bits}"
    if group_size not in INT4_GROUPS:
        return f"int4pack has no groups of {group_size}; it has {INT4_GROUPS}"
    return None if n % 16 == 0 and k % 32 == 0 else f"int4pack needs N % 16 == 0 and K % 32 == 0, not {n} x {k}"


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
    return _on_threads(problem, lambda: torch.nn.functional.linear(x, weight))


def _on_threads(problem: Problem, product: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    """A call of `product` on the threads of the problem."""

    def call() -> torch.Tensor:
        if torch.get_num_threads() != problem.threads:
            torch.set_num_threads(problem.threads)
        with torch.inference_mode():
            return product()

    return call


def _to_numpy(y: torch.Tensor) -> np.ndarray:
    return y.to(torch.float32).cpu().numpy()
