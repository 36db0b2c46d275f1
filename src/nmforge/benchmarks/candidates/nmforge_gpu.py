"""Our Triton kernels."""

from __future__ import annotations

from functools import partial

from nmforge.benchmarks.candidates.registry import REGISTRY, Kernel
from nmforge.benchmarks.cuda_timer import prepared
from nmforge.benchmarks.problem import Prepared, Problem
from nmforge.core.formats import DENSE, GemmShape, Pattern, QuantScheme
from nmforge.core.lazy import torch
from nmforge.kernels.gpu.repack import FORMATS

AT_LLAMA7B = ((DENSE, 4), (DENSE, 3), (Pattern(2, 4), 4))


def w4a8(problem: Problem) -> Prepared:
    """Mode W4A8 from float32 activations to float32 outputs, quantization of the activations included."""
    from nmforge.kernels.gpu.linear import GpuLinear  # imports torch

    x = torch.from_numpy(problem.x).cuda()
    first = GpuLinear(problem.linear)
    layers = [first, *(first.copy() for _ in range(problem.copies - 1))]
    calls = [partial(layer.forward, x) for layer in layers]
    return prepared(calls, len(x), layers[0].weight_bytes)


def unsupported_reason(pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    """Why this machine or the kernel's format cannot hold such a layer."""
    from nmforge.kernels.gpu import linear

    return linear.unsupported_reason(pattern, scheme.bits, scheme.group_size or shape.k)


for _pattern, _bits in FORMATS:
    _word = _pattern.label
    REGISTRY.add(
        Kernel(
            f"gpu-ours-{_word}-int{_bits}",
            f"our Triton W4A8 kernel, {_word} INT{_bits}",
            "nmforge",
            _pattern,
            _bits,
            w4a8,
            unsupported_reason,
            on_gpu=True,
            exact=True,
            at_llama7b=(_pattern, _bits) in AT_LLAMA7B,
        )
    )
