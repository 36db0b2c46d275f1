"""Our fused W4A8 product on a GPU: weights repacked once, then three launches a product."""

from __future__ import annotations

import importlib.util
from copy import copy
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.formats import Pattern
from nmforge.kernels.gpu.repack import FORMATS, pack

ROWS, WARPS = 64, 4  # rows of weights a program multiplies, and its warps
TOKENS = (16, 32, 64, 128)  # it multiplies them by: the fewest that hold M, else the most
PROGRAMS = 4  # wanted on each multiprocessor; groups are shared out until there are so many
EPILOGUE = 1024
SMALLEST_GROUP = 32  # the shortest sum that int8 tensor cores take


@dataclass(frozen=True)
class Plan:
    """How a product is cut into programs."""

    rows: int
    tokens: int
    shares: int
    warps: int

    @classmethod
    def for_shape(cls, m: int, n: int, groups: int, processors: int) -> Plan:
        """Tiles of tokens that hold m, and the groups of a tile in as many shares as fill the processors."""
        tokens = next((size for size in TOKENS if size >= m), TOKENS[-1])
        tiles = -(-n // ROWS) * -(-m // tokens)
        return cls(ROWS, tokens, min(groups, max(1, PROGRAMS * processors // tiles)), WARPS)


class GpuLinear:
    """A compressed layer on a device of torch; on `cpu` it runs under Triton's interpreter (TRITON_INTERPRET=1)."""

    def __init__(self, linear: CompressedLinear, device: str = "cuda") -> None:
        """Repack `linear`, for which `unsupported_reason` is None."""
        self.n, self.k, self.group_size = linear.n, linear.k, linear.group_size
        self.format = FORMATS[linear.pattern, linear.bits]
        codes, more = pack(linear)
        self.codes, self.more = (torch.from_numpy(part).to(device) for part in (codes, more))
        self.mult = torch.from_numpy(np.ascontiguousarray(linear.group_mult.T)).to(device)
        self.row_scale = torch.from_numpy(linear.row_scale).to(device)
        on_gpu = self.codes.is_cuda
        self.processors = torch.cuda.get_device_properties(self.codes.device).multi_processor_count if on_gpu else 1

    def copy(self) -> GpuLinear:
        """The same layer elsewhere in the device's memory."""
        other = copy(self)
        other.codes, other.more, other.mult, other.row_scale = (
            part.clone() for part in (self.codes, self.more, self.mult, self.row_scale)
        )
        return other

    @property
    def weight_bytes(self) -> int:
        """What one product reads of the weights."""
        return sum(part.nbytes for part in (self.codes, self.more, self.mult, self.row_scale))

    def quantize(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """float32[M, K] -> (int8[M, K], step float32[M], zeros int32[M, N] for the sums), in one launch."""
        from nmforge.kernels.gpu import w4a8_triton as w4a8  # Triton comes with torch's CUDA build only

        new = partial(torch.empty, device=x.device)
        xq, step = new(len(x), self.k, dtype=torch.int8), new(len(x))
        acc = new(len(x), self.n, dtype=torch.int32)
        width = 1 << (self.k - 1).bit_length()
        w4a8.quantize[(len(x),)](x, xq, step, acc, self.k, self.n, WIDTH=width, ZEROED=EPILOGUE, num_warps=8)
        return xq, step, acc

    def accumulate(self, xq: Tensor, acc: Tensor) -> Tensor:
        """Integer part of the product, int8[M, K] -> int32[M, N], into `acc`, which holds zeros; returns that."""
        from nmforge.kernels.gpu import w4a8_triton as w4a8

        m, groups = len(xq), len(self.mult)
        plan = Plan.for_shape(m, self.n, groups, self.processors)
        grid = (-(-self.n // plan.rows), -(-m // plan.tokens), plan.shares)
        w4a8.accumulate[grid](
            xq, self.codes, self.more, self.mult, acc, m, self.n, self.k, groups, FORMAT=self.format,
            G=self.group_size, ROWS=plan.rows, TOKENS=plan.tokens, SHARES=plan.shares, num_warps=plan.warps,
        )  # fmt: skip
        return acc

    def forward(self, x: Tensor) -> Tensor:
        """float32[M, K] -> float32[M, N], the reference's numbers."""
        from nmforge.kernels.gpu import w4a8_triton as w4a8

        xq, step, acc = self.quantize(x)
        self.accumulate(xq, acc)
        y = torch.empty(len(x), self.n, device=x.device)
        w4a8.scale[(len(x), -(-self.n // EPILOGUE))](acc, step, self.row_scale, y, self.n, WIDTH=EPILOGUE)
        return y


def unsupported_reason(pattern: Pattern, bits: int, group_size: int) -> str | None:
    """The reason the kernel cannot run such a layer on this machine; None where it can."""
    if not torch.cuda.is_available():
        return "torch finds no CUDA device on this machine"
    if importlib.util.find_spec("triton") is None:
        return "the kernels are written in Triton, which is not installed"
    if (pattern, bits) not in FORMATS:
        known = ", ".join(f"{p.label} INT{b}" for p, b in FORMATS)
        return f"the GPU kernel holds {known}, not {pattern} INT{bits}"
    if group_size < SMALLEST_GROUP or group_size & (group_size - 1):
        return f"the GPU kernel takes groups of a power of two from {SMALLEST_GROUP} on, not {group_size}"
    return None
