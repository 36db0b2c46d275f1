"""Capacity of a board: what it has to store (models, formats), and how many copies of a synthesized engine it holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from nmforge.core.formats import Pattern
from nmforge.fpga.boards.boards import Board
from nmforge.fpga.model.engine import PREFERRED_GROUP, Core

GROUP = PREFERRED_GROUP  # weights per group multiplier of the image
FP16_BYTES = 2
SHARE = 0.6  # of a chip for engines; assumed: the rest is left to memory controllers, buffers and routing
FPGA_COLUMNS = ["engine", "window", "bits", "lanes", "rows", "cols", "target", "stage", "lut", "ff", "dsp", "fmax_mhz"]
BUILD_KEYS = ["engine", "window", "bits", "lanes", "rows", "cols"]


@dataclass(frozen=True)
class Workload:
    """A LLaMA-shaped model: `shapes` maps (N, K) to how many linear layers of one block have that shape."""

    name: str
    shapes: Mapping[tuple[int, int], int]
    layers: int
    hidden: int
    vocabulary: int

    @property
    def weights(self) -> int:
        """Weights of all linear layers."""
        return self.layers * sum(n * k * count for (n, k), count in self.shapes.items())

    @property
    def kv_bytes(self) -> int:
        """Bytes of keys and values of one token in FP16."""
        return 2 * self.layers * self.hidden * FP16_BYTES

    @property
    def other_bytes(self) -> int:
        """Bytes that also have to fit: embedding and head, 16 bits a weight."""
        return 2 * self.vocabulary * self.hidden * FP16_BYTES


@dataclass(frozen=True)
class Format:
    """How the linear layers are stored."""

    pattern: Pattern
    bits: int

    @property
    def image_bits(self) -> float:
        """Bits per dense weight: code and offset of every kept weight, and 8 bits of multiplier a group.

        Row scales (32 bits a row) and the padding of the last row tile are left out.
        """
        index = 0 if self.pattern.is_dense else (self.pattern.window - 1).bit_length()
        return self.pattern.keep * (self.bits + index) / self.pattern.window + 8 / GROUP

    def image_bytes(self, workload: Workload) -> float:
        """Bytes of the weight image of all linear layers."""
        return workload.weights * self.image_bits / 8

    def __str__(self) -> str:
        return f"{self.pattern.label} INT{self.bits}"


@dataclass(frozen=True)
class EngineBuild:
    """One synthesized engine: what it is, and what it takes of a device.

    gemm: rows are channels, cols are tokens. gemv: rows x cols channels of one token.
    """

    engine: Core
    window: int
    bits: int
    lanes: int
    rows: int
    cols: int
    lut: int
    ff: int
    dsp: int

    @property
    def multipliers(self) -> int:
        """Weight x activation multipliers."""
        return self.rows * self.cols * self.lanes

    @property
    def tokens(self) -> int:
        """Tokens that share one weight stream."""
        return 1 if self.engine == "gemv" else self.cols

    def runs(self, layout: Format) -> bool:
        """Codes have the engine's bits. Dense runs on every such engine; a sparse pattern on the one whose window it
        has, as its offsets are stored."""
        return layout.bits == self.bits and (layout.pattern.is_dense or layout.pattern.window == self.window)

    def copies(self, board: Board) -> int:
        """Copies that fit in `SHARE` of the board's LUTs, flip-flops and DSP blocks."""
        needs = {"luts": self.lut, "ffs": self.ff, "dsps": self.dsp}
        copies = [getattr(board, name).value / need for name, need in needs.items() if need > 0]
        return int(SHARE * min(copies)) if copies else 0


def synthesized(fpga: pd.DataFrame, target: str) -> list[EngineBuild]:
    """The engines of the fpga table with resource counts for a target."""
    rows = fpga.reindex(columns=FPGA_COLUMNS)
    rows = rows[(rows["stage"] == "synthesis") & (rows["target"] == target)].dropna(subset=[*BUILD_KEYS, "lut", "ff"])
    made = rows.fillna({"dsp": 0}).drop_duplicates(BUILD_KEYS).to_dict("records")
    return [
        EngineBuild(row["engine"], *(int(row[key]) for key in (*BUILD_KEYS[1:], "lut", "ff", "dsp"))) for row in made
    ]


@dataclass(frozen=True)
class BoardFit:
    """Copies of a build in `SHARE` of a board, and their clock in MHz."""

    build: EngineBuild
    copies: int
    clock_mhz: float


def clock_of(build: EngineBuild, board: Board, fpga: pd.DataFrame) -> float:
    """Clock in MHz: the board's, or the median one of the routed device with this array; NaN where neither is known.

    A build whose bits were not routed takes the clock of the INT4 one, which has the longer adders.
    """
    if board.clock_mhz is not None:
        return board.clock_mhz.value
    rows = fpga.reindex(columns=FPGA_COLUMNS)
    rows = rows[(rows["stage"] == "route") & (rows["target"] == board.target)]
    rows = rows[rows["engine"] == "device"]
    for key in BUILD_KEYS[1:]:
        if key != "bits":
            rows = rows[rows[key] == getattr(build, key)]
    same = rows[rows["bits"] == build.bits]
    rows = rows[rows["bits"] == 4] if same.empty else same
    return float(rows["fmax_mhz"].median())


def fits(fpga: pd.DataFrame, board: Board) -> list[BoardFit]:
    """Every synthesized engine that fits the board at least once and has a clock."""
    every = [
        BoardFit(build, build.copies(board), clock_of(build, board, fpga)) for build in synthesized(fpga, board.target)
    ]
    return [fit for fit in every if fit.copies and not math.isnan(fit.clock_mhz)]
