"""C++ kernels of mode W4A8 on the CPU."""

from __future__ import annotations

from nmforge.kernels.cpu.linear import (
    CpuLinear,
    available_isas,
    choose_isa,
    gather_width,
    read_bytes,
    unsupported_reason,
)

__all__ = ["CpuLinear", "available_isas", "choose_isa", "gather_width", "read_bytes", "unsupported_reason"]
