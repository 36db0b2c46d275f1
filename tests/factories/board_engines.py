"""Synthesized engines, a closed form of cycles and boards for tests of the board model."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from nmforge.core.formats import GemmShape, Pattern
from nmforge.core.llama7b import BLOCKS, HIDDEN, SHAPES
from nmforge.core.registry import registry
from nmforge.fpga.boards.boards import Board
from nmforge.fpga.boards.capacity import EngineBuild, Workload
from nmforge.io.settings import validated

Row = dict[str, Any]
LLAMA = Workload("LLaMA-7B", SHAPES, BLOCKS, HIDDEN, 32000)
TINY = Workload("tiny", {(64, 128): 1}, 1, 64, 100)  # one matrix of 8,192 weights


def engine(window: int, lut: int, **more: object) -> Row:
    """A synthesized 8x4 GEMM engine of 32 multipliers."""
    return {
        "engine": "gemm", "pattern": "dense", "window": window, "bits": 4, "lanes": 1, "rows": 8, "cols": 4,
        "target": "xcup", "stage": "synthesis", "lut": lut, "ff": lut // 2, "dsp": 0, **more,
    }  # fmt: skip


FPGA = pd.DataFrame([engine(1, 2000), engine(1, 1600, bits=3), engine(4, 2500), engine(8, 3200)])


def ideal(shape: GemmShape, pattern: Pattern, build: EngineBuild) -> int:
    """A closed form of our own: a kept weight per multiplier and cycle, no tail."""
    tiles = math.ceil(shape.n / build.rows) * math.ceil(shape.m / build.tokens)
    return tiles * shape.k * pattern.keep // pattern.window // build.lanes


def only(name: str, **figures: float) -> list[Board]:
    """One board, some of its figures replaced, and no published design."""
    document = registry("board").get(name).model_dump() | {"published": []}
    document |= {key: {"value": value, "source": "test"} for key, value in figures.items()}
    return [validated(Board, document, name)]
