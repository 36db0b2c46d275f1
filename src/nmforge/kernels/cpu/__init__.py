"""C++ kernels of mode W4A8 on the CPU."""

from __future__ import annotations

from nmforge.kernels.cpu.linear import CpuLinear, available_isas, choose_isa, reach, read_bytes, why_unsupported

__all__ = ["CpuLinear", "available_isas", "choose_isa", "reach", "read_bytes", "why_unsupported"]
