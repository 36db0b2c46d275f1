"""`CpuLinear`: a compressed layer re-laid once, multiplied by the C++ kernels."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import QuantScheme, check_accumulator
from nmforge.kernels.cpu import _cpu
from nmforge.kernels.cpu.repack import TiledLinear, duplicate, tile_linear

ISA_VARIABLE = "NMFORGE_ISA"
MAX_BITS = 4


def available_isas() -> list[str]:
    """Instruction sets this machine and build offer, slowest first."""
    return list(_cpu.isas())


def choose_isa(name: str | None = None) -> str:
    """`name`, else the environment's NMFORGE_ISA, else the fastest; raises NmforgeError where it is not available."""
    available = available_isas()
    wanted = name or os.environ.get(ISA_VARIABLE) or available[-1]
    if wanted not in available:
        raise NmforgeError(
            f"{ISA_VARIABLE} = {wanted!r} is not available on this machine; use one of {', '.join(available)}"
        )
    return wanted


def reach(isa: str) -> int:
    """Activations that one selection of an instruction set chooses from: 16, or 64 with AVX-512 VBMI."""
    return _cpu.reach(isa)


def read_bytes(data: NDArray[np.uint8], threads: int) -> None:
    """Read every byte of uint8[bytes] once."""
    _cpu.read_bytes(choose_isa(), data, threads)


def why_unsupported(bits: int) -> str | None:
    """Why the kernels decline codes of `bits` bits; None where they take them."""
    return None if bits <= MAX_BITS else f"codes of {bits} bits could leave INT16 partial sums; at most {MAX_BITS} bits"


class CpuLinear:
    """One layer ready to multiply; the bits of every result equal `nmforge.reference`, on every instruction set.

    Patterns whose windows straddle groups or reach too far for one selection are stored with their zeros.
    """

    def __init__(self, linear: CompressedLinear, isa: str | None = None) -> None:
        """Re-lay `linear`; raises NmforgeError for codes wider than 4 bits, rows that could overflow INT32, or an
        unavailable `isa`."""
        reason = why_unsupported(linear.bits)
        if reason:
            raise NmforgeError(
                f"a CPU kernel cannot take this layer: {reason}; quantize it to {MAX_BITS} bits or fewer"
            )
        check_accumulator(
            linear.kept_per_row, QuantScheme(linear.bits, linear.group_size), "a layer for the CPU kernel"
        )
        chosen = choose_isa(isa)
        self._bind(tile_linear(linear, _cpu.reach(chosen)), chosen)

    def _bind(self, tiled: TiledLinear, isa: str) -> None:
        """Hand the re-laid arrays to the extension, which checks and keeps them."""
        self.isa, self.n, self.k, self._tiled = isa, tiled.n, tiled.k, tiled
        steps = tiled.steps
        self.native = _cpu.Linear(
            isa=isa, n=tiled.n, k=tiled.k, groups=steps.groups, code_bits=tiled.bits, index_bits=steps.index_bits,
            planes=tiled.planes.reshape(-1), mult=tiled.mult.reshape(-1), start=tiled.start.reshape(-1),
            row_scale=tiled.row_scale.reshape(-1), step_base=steps.base,
            lane_base=np.ascontiguousarray(steps.lane_base).view("<u4").reshape(-1),
            flush_end=steps.flush_end, flush_group=steps.flush_group,
        )  # fmt: skip

    @property
    def packed(self) -> bool:
        """False where the pattern is stored with its zeros."""
        return self._tiled.steps.index_bits > 0 or self._tiled.pattern.is_dense

    @property
    def weight_bytes(self) -> int:
        """Bytes of re-laid weights one product reads."""
        return self._tiled.weight_bytes

    def copy(self) -> CpuLinear:
        """The same layer at another place in memory."""
        other = CpuLinear.__new__(CpuLinear)
        other._bind(duplicate(self._tiled), self.isa)
        return other

    def accumulate(self, xq: NDArray[np.int8], threads: int = 1) -> NDArray[np.int32]:
        """Integer sums: int8[M, K] in -127..127 -> int32[M, N]."""
        self._check_columns(xq)
        return self.native.accumulate(np.ascontiguousarray(xq), threads)

    def forward(self, x: NDArray[np.float32], threads: int = 1) -> NDArray[np.float32]:
        """Mode W4A8: float32[M, K] -> float32[M, N]; raises NmforgeError where x holds NaN or infinity."""
        self._check_columns(x)
        try:
            return self.native.forward(np.ascontiguousarray(x), threads)
        except ValueError as error:
            raise NmforgeError(f"a CPU kernel of {self.n} x {self.k} got bad input: {error}") from None

    def _check_columns(self, x: NDArray[np.generic]) -> None:
        if x.ndim != 2 or x.shape[1] != self.k:
            raise NmforgeError(f"activations of shape {x.shape} do not fit a layer of K = {self.k}; pass [M, {self.k}]")
