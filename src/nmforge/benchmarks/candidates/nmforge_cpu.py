"""Our C++ kernels."""

from __future__ import annotations

from collections.abc import Callable

from nmforge.benchmarks.candidates.registry import REGISTRY, Kernel
from nmforge.benchmarks.problem import Prepared, Problem, in_sequence
from nmforge.core.formats import DENSE, GemmShape, Pattern, QuantScheme
from nmforge.kernels import cpu
from nmforge.kernels.cpu import CpuLinear, choose_isa, gather_width
from nmforge.kernels.cpu.repack import unpackable_reason

FORMATS = ((DENSE, 4), (DENSE, 3), (Pattern(2, 4), 4), (Pattern(1, 4), 4), (Pattern(4, 8), 4), (Pattern(2, 8), 4))
AT_LLAMA7B = FORMATS[:3]


def w4a8(problem: Problem) -> Prepared:
    """Mode W4A8 from float32 activations to float32 outputs, quantization of the activations included."""
    layers = [CpuLinear(problem.linear)]
    layers += [layers[0].copy() for _ in range(problem.copies - 1)]
    calls: list[Callable[[], object]] = [_call(layer, problem) for layer in layers]
    return Prepared(in_sequence(calls), lambda: layers[0].forward(problem.x, problem.threads), layers[0].weight_bytes)


def unsupported_reason(pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    """Why no kernel of this processor holds such a layer."""
    group_size = scheme.group_size or shape.k
    return cpu.unsupported_reason(scheme.bits) or unpackable_reason(pattern, group_size, gather_width(choose_isa()))


def _call(layer: CpuLinear, problem: Problem) -> Callable[[], object]:
    return lambda: layer.forward(problem.x, problem.threads)


for _pattern, _bits in FORMATS:
    _word = _pattern.label
    REGISTRY.add(
        Kernel(
            f"ours-{_word}-int{_bits}",
            f"our C++ W4A8 kernel, {_word} INT{_bits}",
            "nmforge",
            _pattern,
            _bits,
            w4a8,
            unsupported_reason,
            exact=True,
            at_llama7b=(_pattern, _bits) in AT_LLAMA7B,
        )
    )
