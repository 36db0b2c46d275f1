"""bf16 numbers in float32 arithmetic: what mode W4A16 rounds, and products of such numbers at full speed.

A product of two bf16 numbers is exact in float32 unless it is denormal, so rounding the factors first changes nothing
where they are bf16 numbers already, and sums are float32 either way. Processors with AVX-512's bf16 products sum them
in our own kernel (`csrc/bf16`); those with AMX, GPUs and all others in torch's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from nmforge.core.lazy import torch
from nmforge.kernels._native import bf16

if TYPE_CHECKING:
    from torch import Tensor

COLUMNS = 192  # of a triangle that torch computes at once: only those on and above the diagonal are
ROWS = 256  # fewer are left to torch: the kernel packs the other factor in each call


@cache
def uses_own_kernel() -> bool:
    """Whether our own kernel multiplies on this processor: it has AVX-512's bf16 products, and no AMX for torch's."""
    return bf16.available() and not torch.cpu.get_capabilities().get("amx_bf16", False)


def round_bf16(x: Tensor) -> Tensor:
    """The nearest bf16 numbers, in the type of x."""
    return x.bfloat16().to(x.dtype)


def multiply(x: Tensor, weight: Tensor) -> Tensor:
    """x w^T: [..., K] of any float type, rounded to bf16, and bf16 numbers float32[N, K] -> float32[..., N]."""
    flat = x.reshape(-1, x.shape[-1])
    if len(flat) < ROWS or not _kernel_fits(flat, weight):
        with _torch_may_round():
            return torch.nn.functional.linear(x.bfloat16().float(), weight)
    found = torch.empty(len(flat), len(weight))
    bf16.multiply_rows(
        flat.float().contiguous().numpy(), weight.contiguous().numpy(), found.numpy(), torch.get_num_threads()
    )
    return found.view(*x.shape[:-1], len(weight))


def add_products(total: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """total + y^T x, in place: float32[N, K]; y float32[T, N] and x float32[T, K] are rounded to bf16."""
    if _kernel_fits(total, y, x):
        bf16.add_outer_products(
            y.contiguous().numpy(), x.contiguous().numpy(), False, total.numpy(), torch.get_num_threads()
        )
        return total
    with _torch_may_round():
        return total.addmm_(round_bf16(y).T, round_bf16(x))


def add_gram(gram: Tensor, x: Tensor) -> Tensor:
    """gram + x^T x in place, on and above the diagonal at least: float32[K, K]; x float32[T, K] is rounded to bf16."""
    if _kernel_fits(gram, x):
        own = x.contiguous().numpy()
        bf16.add_outer_products(own, own, True, gram.numpy(), torch.get_num_threads())
        return gram
    x = round_bf16(x)
    with _torch_may_round():
        for first in range(0, len(gram), COLUMNS):
            last = first + COLUMNS
            gram[first:last, first:].addmm_(x[:, first:last].T, x[:, first:])
    return gram


def _kernel_fits(*tensors: Tensor) -> bool:
    """Whether our own kernel can multiply these: it computes no gradients."""
    wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    return uses_own_kernel() and not wanted and all(tensor.device.type == "cpu" for tensor in tensors)


@contextmanager
def _torch_may_round() -> Iterator[None]:
    """float32 matrix products of torch may take their factors as bf16."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
