"""Closed form for the cycles of the GEMM engine, checked against the RTL wherever the RTL is run."""

from __future__ import annotations

from nmforge.fpga.engine import Engine, engine_group
from nmforge.fpga.generate import tiles
from nmforge.spec import GemmShape, Pattern

LATENCY = 2  # registers that neither the skew nor the drain accounts for


def ideal_gemm_cycles(shape: GemmShape, pattern: Pattern, rows: int, cols: int) -> int:
    """Every PE takes one window each cycle: tiles * K / of."""
    return tiles(shape.n, rows) * tiles(shape.m, cols) * (shape.k // pattern.of)


def gemm_cycles(shape: GemmShape, pattern: Pattern, rows: int, cols: int, group_size: int) -> int:
    """Cycles from the first offered window to the last accepted sum, streams never short.

    Tiles follow each other without a gap, so the array's ideal cycles are paid once each; on top come the skew of
    the last tile (rows + cols hops), the drain of its last group along the row (2 * cols), and two registers.
    Raises NmforgeError where the engine cannot be built for the pattern and group.
    """
    Engine(pattern, 4, rows, cols, engine_group(group_size, pattern))
    return ideal_gemm_cycles(shape, pattern, rows, cols) + rows + 3 * cols + LATENCY
