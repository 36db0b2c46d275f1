"""Closed form for the cycles of the GEMM engine, checked against the RTL wherever the RTL is run.

Symbols: R rows, C columns, W = K / of windows of a tile, T tiles, and the tail R + 3C + 2: the cycles from the launch
of a tile's last window to its last sum on the output (1 edge register, R - 1 row skew, 3 of the PE, 2(C - 1) drain,
1 product, 1 sum, C output beats).

Windows are launched one a cycle, tile after tile. A tile holds one of two result slots from its first launch to its
last beat, so two tiles take at least W + tail together. Where W >= tail the slots never hold the array back, and
the whole is T * W + tail.
"""

from __future__ import annotations

from nmforge.fpga.engine import Engine, engine_group
from nmforge.fpga.generate import tiles
from nmforge.spec import GemmShape, Pattern


def ideal_gemm_cycles(shape: GemmShape, pattern: Pattern, rows: int, cols: int) -> int:
    """Every PE takes one window each cycle: T * W."""
    return tiles(shape.n, rows) * tiles(shape.m, cols) * (shape.k // pattern.of)


def tail_cycles(rows: int, cols: int) -> int:
    """From the launch of a tile's last window to its last sum: R + 3C + 2."""
    return rows + 3 * cols + 2


def gemm_cycles(shape: GemmShape, pattern: Pattern, rows: int, cols: int, group_size: int) -> int:
    """Cycles from the first offered window to the last accepted sum, streams never short.

    Raises NmforgeError where the engine cannot be built for the pattern and group.
    """
    Engine(pattern, 4, rows, cols, engine_group(group_size, pattern))
    windows = shape.k // pattern.of
    count = tiles(shape.n, rows) * tiles(shape.m, cols)
    tail = tail_cycles(rows, cols)
    pair = max(2 * windows, windows + tail)
    last_start = (count - 1) // 2 * pair + (count - 1) % 2 * windows
    return last_start + windows + tail
