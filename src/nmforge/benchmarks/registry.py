"""The table of kernels: what each is called, what it can take, how it is prepared. A new kernel is one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from nmforge.benchmarks.candidates import nmforge_cpu as ours_cpu
from nmforge.benchmarks.candidates import nmforge_gpu, torch_cpu, torch_cuda
from nmforge.benchmarks.candidates import onnxruntime as onnx_peer
from nmforge.benchmarks.candidates.external import client as peers
from nmforge.benchmarks.problem import Prepared, Problem
from nmforge.core.formats import DENSE, GemmShape, Pattern, QuantScheme
from nmforge.io import provenance
from nmforge.kernels.cpu import choose_isa, reach
from nmforge.kernels.cpu import why_unsupported as cpu_declines
from nmforge.kernels.cpu.repack import why_not_packed
from nmforge.kernels.gpu import linear as ours_gpu

Family = Literal["ours", "peer", "paper", "limit"]
Stage = Literal["matmul", "end_to_end", "read"]
Supports = Callable[[Pattern, QuantScheme, GemmShape], str | None]


@dataclass(frozen=True)
class Kernel:
    """One way to multiply. `supports` gives the reason against a layer, or None; `prepare` lays the weights down.

    bits: of a stored weight as the kernel multiplies it (16 and 32: float). stage: `matmul` alone, or `end_to_end`
    with a dequantization before it; a fused kernel has one stage, `matmul`; `read` multiplies nothing. exact: equals
    the reference bit for bit. elsewhere: lives in the peers' environment and is timed in its process. by_default:
    measured without `libraries: true`.
    """

    name: str
    family: Family
    pattern: Pattern
    bits: int
    prepare: Callable[[Problem], Prepared]
    supports: Supports
    stage: Stage = "matmul"
    on_gpu: bool = False
    exact: bool = False
    elsewhere: bool = False
    by_default: bool = True

    @property
    def code_bits(self) -> int:
        """Bits of the integer codes its problem is made of; dense float kernels take theirs from 4-bit codes."""
        return self.bits if self.bits <= 8 else 4

    @property
    def isa(self) -> str:
        """Instruction set of our kernels, `triton` on a GPU; `library` where a library chooses for itself."""
        if self.on_gpu and self.family == "ours":
            return "triton"
        return choose_isa() if self.family in ("ours", "limit") else "library"

    @property
    def device(self) -> str:
        """Name of the processor it runs on; on a GPU it starts with `cuda`."""
        return torch_cuda.device_name() if self.on_gpu else provenance.cpu_name()


def _anything(pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    return None


def _ours_supports(pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    return cpu_declines(scheme.bits) or why_not_packed(pattern, scheme.group_size or shape.k, reach(choose_isa()))


def _peer_supports(pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    return onnx_peer.why_unsupported(scheme.bits, scheme.group_size or shape.k)


def _int4pack_supports(pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    return torch_cpu.why_no_int4pack(scheme.bits, scheme.group_size or shape.k, shape.n, shape.k)


def _read_supports(pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    return None if shape.m == 1 else "memory bounds a product of one token only"


def _gpu_supports(pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    return torch_cuda.why_unsupported(pattern, shape.n, shape.k)


def _ours_gpu_supports(pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    return ours_gpu.why_unsupported(pattern, scheme.bits, scheme.group_size or shape.k)


def _int4pack_gpu_supports(pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    return torch_cuda.why_no_int4pack(scheme.bits, scheme.group_size or shape.k, shape.n, shape.k)


def _elsewhere_supports(block: int, pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    """A peer that stores blocks of `block` weights along K."""
    short = shape.k % block != 0
    return peers.why_missing() or (f"it stores blocks of {block} weights, and K is {shape.k}" if short else None)


def _elsewhere(name: str, bits: int, block: int) -> Kernel:
    supports = partial(_elsewhere_supports, block)
    return Kernel(
        name, "peer", DENSE, bits, partial(peers.prepare, kernel=name), supports, elsewhere=True, by_default=False
    )


def _onnx(word: str, block: int | None, accuracy_level: int) -> Kernel:
    """ONNX Runtime with other settings than its fastest."""
    prepare = partial(onnx_peer.matmul_nbits, block=block, accuracy_level=accuracy_level)
    return Kernel(f"onnxruntime-int4-{word}", "peer", DENSE, 4, prepare, _peer_supports, by_default=False)


def _ours(pattern: Pattern, bits: int) -> Kernel:
    name = f"ours-{_word(pattern)}-int{bits}"
    return Kernel(name, "ours", pattern, bits, ours_cpu.w4a8, _ours_supports, exact=True)


def _ours_gpu(pattern: Pattern, bits: int) -> Kernel:
    cpu = _ours(pattern, bits)
    return replace(cpu, name=f"gpu-{cpu.name}", prepare=nmforge_gpu.w4a8, supports=_ours_gpu_supports, on_gpu=True)


def _paper(pattern: Pattern) -> list[Kernel]:
    """The unfused path on the CPU and on the GPU, each in its two stages."""
    cpu = Kernel(f"paper-matmul-only-{_word(pattern)}", "paper", pattern, 4, torch_cpu.unfused_matmul, _anything)
    gpu = replace(cpu, name=f"gpu-{cpu.name}", prepare=torch_cuda.matmul_only, supports=_gpu_supports, on_gpu=True)
    whole = [(cpu, torch_cpu.unfused_end_to_end), (gpu, torch_cuda.end_to_end)]
    return [cpu, gpu] + [
        replace(k, name=k.name.replace("matmul-only", "end-to-end"), prepare=run, stage="end_to_end")
        for k, run in whole
    ]


def _word(pattern: Pattern) -> str:
    return "dense" if pattern.is_dense else str(pattern)


KERNELS: dict[str, Kernel] = {
    kernel.name: kernel
    for kernel in [
        Kernel("torch-fp32", "peer", DENSE, 32, partial(torch_cpu.dense, bits=32), _anything),
        Kernel("torch-bf16", "peer", DENSE, 16, partial(torch_cpu.dense, bits=16), _anything),
        Kernel("gpu-torch-fp16", "peer", DENSE, 16, torch_cuda.matmul_only, _gpu_supports, on_gpu=True),
        Kernel("onnxruntime-int4", "peer", DENSE, 4, onnx_peer.matmul_nbits, _peer_supports),
        _onnx("block32", 32, 4),
        _onnx("level0", None, 0),
        _onnx("block32-level0", 32, 0),
        Kernel("torch-int4", "peer", DENSE, 4, torch_cpu.int4pack, _int4pack_supports),
        _elsewhere("llamacpp-f16", 16, 1),
        _elsewhere("llamacpp-q4_0", 4, 32),
        _elsewhere("llamacpp-q4_k", 4, 256),
        _elsewhere("openvino-int4", 4, 2),
        _ours(DENSE, 4),
        _ours(DENSE, 3),
        _ours(Pattern(2, 4), 4),
        _ours(Pattern(1, 4), 4),
        _ours(Pattern(4, 8), 4),
        _ours(Pattern(2, 8), 4),
        Kernel("gpu-torch-int4", "peer", DENSE, 4, torch_cuda.int4pack, _int4pack_gpu_supports, on_gpu=True),
        _ours_gpu(DENSE, 4),
        _ours_gpu(DENSE, 3),
        _ours_gpu(Pattern(2, 4), 4),
        _ours_gpu(Pattern(1, 4), 4),
        Kernel("read-2:4-int4", "limit", Pattern(2, 4), 4, ours_cpu.read_only, _read_supports, "read"),
        *_paper(DENSE),
        *_paper(Pattern(2, 4)),
    ]
}

HERE = tuple(name for name, kernel in KERNELS.items() if kernel.by_default)
