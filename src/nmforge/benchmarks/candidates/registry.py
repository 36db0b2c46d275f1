"""The registry of kernels: what each is called, which layers it takes, how it is prepared.

A kernel is one file of this folder, or several that share their code. `role` is one of:

    nmforge    a kernel of this project
    library    code of others that runs next to ours
    baseline   the paper's path: dequantize to a dense matrix, then multiply
    roofline   multiplies nothing; shows what the machine allows
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nmforge.benchmarks.problem import Prepared, Problem
from nmforge.core.formats import GemmShape, Pattern, QuantScheme
from nmforge.core.registry import Registry
from nmforge.io import provenance
from nmforge.kernels.cpu import choose_isa
from nmforge.kernels.gpu.device import device_name

Role = Literal["nmforge", "library", "baseline", "roofline"]
Stage = Literal["matmul", "end_to_end", "read"]
UnsupportedReason = Callable[[Pattern, QuantScheme, GemmShape], str | None]


def supports_all(pattern: Pattern, scheme: QuantScheme, shape: GemmShape) -> str | None:
    """For a kernel that takes every layer on every machine."""
    return None


@dataclass(frozen=True)
class Kernel:
    """One way to multiply by a compressed layer.

    role: column `family` of table `kernels`.
    pattern, bits: of the stored weights as the kernel multiplies them; 16 and 32 bits are floats.
    prepare: repacks the weights of a problem for the kernel.
    unsupported_reason: why the kernel cannot run such a layer here, one clause; None where it can.
    stage: `matmul`, or `end_to_end` with a dequantization before it; a fused kernel is `matmul`; `read` only reads.
    exact: equals the reference bit for bit.
    external: runs in the process of the external libraries, which times it.
    by_default: measured unless the config says otherwise.
    at_llama7b: measured at the shapes of LLaMA-7B as well.
    """

    name: str
    summary: str
    role: Role
    pattern: Pattern
    bits: int
    prepare: Callable[[Problem], Prepared]
    unsupported_reason: UnsupportedReason = supports_all
    stage: Stage = "matmul"
    on_gpu: bool = False
    exact: bool = False
    external: bool = False
    by_default: bool = True
    at_llama7b: bool = False

    @property
    def code_bits(self) -> int:
        """Bits of the integer codes its problem is made of; dense float kernels take theirs from 4-bit codes."""
        return self.bits if self.bits <= 8 else 4

    @property
    def isa(self) -> str:
        """Instruction set of our kernels, `triton` on a GPU; `library` where a library chooses for itself."""
        if self.on_gpu and self.role == "nmforge":
            return "triton"
        return choose_isa() if self.role in ("nmforge", "roofline") else "library"

    @property
    def device(self) -> str:
        """Name of the processor it runs on; on a GPU it starts with `cuda`."""
        return device_name() if self.on_gpu else provenance.cpu_name()


REGISTRY: Registry[Kernel] = Registry("kernel")


def default_kernels() -> tuple[str, ...]:
    """Names of the kernels that are measured unless the config says otherwise."""
    return tuple(kernel.name for kernel in REGISTRY if kernel.by_default)
