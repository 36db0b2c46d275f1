"""`CpuLinear`: a compressed layer repacked once, multiplied by the C++ kernels."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import QuantScheme, check_accumulator
from nmforge.kernels._native import w4a8
from nmforge.kernels.cpu.repack import TiledLinear, duplicate, tile_linear

ISA_VARIABLE = "NMFORGE_ISA"
MAX_BITS = 4


def available_isas() -> list[str]:
    """Instruction sets this machine and build offer, slowest first."""
    return list(w4a8.isas())


def choose_isa(name: str | None = None) -> str:
    """`name`, else the environment's NMFORGE_ISA, else the fastest; raises NmforgeError where it is not available."""
    available = available_isas()
    wanted = name or os.environ.get(ISA_VARIABLE) or available[-1]
    if wanted not in available:
        raise NmforgeError(
            f"{ISA_VARIABLE} = {wanted!r} is not available on this machine; use one of {', '.join(available)}"
        )
    return wanted


def gather_width(isa: str) -> int:
    """Activations that one selection of an instruction set chooses from: 16, or 64 with AVX-512 VBMI."""
    return w4a8.gather_width(isa)


def read_bytes(data: NDArray[np.uint8], threads: int) -> None:
    """Read every byte of uint8[bytes] once."""
    w4a8.read_bytes(choose_isa(), data, threads)


def unsupported_reason(bits: int) -> str | None:
    """The reason the kernels have no code for `bits` bits; None where they have."""
    return None if bits <= MAX_BITS else f"codes of {bits} bits could leave INT16 partial sums; at most {MAX_BITS} bits"


class CpuLinear:
    """One layer ready to multiply; the bits of every result equal `nmforge.core.reference`, on every instruction set.

    Patterns whose windows straddle groups or span too many activations for one selection are stored with their zeros.
    """

    def __init__(self, linear: CompressedLinear, isa: str | None = None) -> None:
        """Repack `linear`; raises NmforgeError for codes wider than 4 bits, rows that could overflow INT32, or an
        unavailable `isa`."""
        reason = unsupported_reason(linear.bits)
        if reason:
            raise NmforgeError(
                f"a CPU kernel cannot take this layer: {reason}; quantize it to {MAX_BITS} bits or fewer"
            )
        check_accumulator(
            linear.kept_per_row, QuantScheme(linear.bits, linear.group_size), "a layer for the CPU kernel"
        )
        chosen = choose_isa(isa)
        self._bind(tile_linear(linear, w4a8.gather_width(chosen)), chosen)

    def _bind(self, tiled: TiledLinear, isa: str) -> None:
        """Pass the repacked arrays to the extension, which checks and keeps them."""
        self.isa, self.n, self.k, self._tiled = isa, tiled.n, tiled.k, tiled
        steps = tiled.steps
        sizes = w4a8.LayerSizes(tiled.n, tiled.k, steps.groups, tiled.bits, steps.index_bits)
        weights = w4a8.LayerWeights(
            tiled.planes.reshape(-1),
            tiled.mult.reshape(-1),
            tiled.bias_correction.reshape(-1),
            tiled.row_scale.reshape(-1),
        )
        lane_base = np.ascontiguousarray(steps.lane_base).view("<u4").reshape(-1)
        order = w4a8.LayerSteps(steps.gather_base, lane_base, steps.segment_end, steps.segment_group)
        self.native = w4a8.Linear(isa, sizes, weights, order)

    @property
    def weight_bytes(self) -> int:
        """Bytes of repacked weights that one product reads."""
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
            raise NmforgeError(
                f"a CPU kernel of {self.n} x {self.k} got bad input: {error}; pass finite float32[M, K]"
            ) from None

    def _check_columns(self, x: NDArray[np.generic]) -> None:
        if x.ndim != 2 or x.shape[1] != self.k:
            raise NmforgeError(f"activations of shape {x.shape} do not fit a layer of K = {self.k}; pass [M, {self.k}]")
