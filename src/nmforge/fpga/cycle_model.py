"""Closed forms for the cycles of the engines, checked against the RTL wherever the RTL is run.

Symbols: R rows, C columns, S = K / (of * lanes) * keep steps of a tile, T tiles, and the tail R + 3C + 6: the cycles
from the launch of a tile's last step to its last sum on the output (1 edge register, R - 1 row skew, 4 of the PE,
2(C - 1) drain, 4 whole sum and its product, 1 sum, C output beats).

Steps are launched one a cycle, tile after tile. The last step of a tile waits until the sums of the tile before have
been sent, two cycles more than the tail after that tile's last launch; a tile of more steps is never held back.

The GEMV engine pauses two cycles in front of its first token and three in front of every other one, until the first
window is in its bank, and has one more edge register in its tail.
"""

from __future__ import annotations

from nmforge.fpga.engine import Engine
from nmforge.fpga.generate import tiles
from nmforge.spec import GemmShape, Pattern


def steps_per_tile(k: int, engine: Engine, pattern: Pattern) -> int:
    """S: kept weights of one output, lanes side by side."""
    return k // (engine.of * engine.lanes) * engine.keep(pattern)


def ideal_cycles(shape: GemmShape, engine: Engine, pattern: Pattern) -> int:
    """Every PE takes one step each cycle: T * S."""
    return tiles(shape.n, engine.channels) * tiles(shape.m, engine.tokens) * steps_per_tile(shape.k, engine, pattern)


def tail_cycles(engine: Engine) -> int:
    """From the launch of a tile's last step to its last sum: R + 3C + 6, one more for the GEMV engine."""
    return engine.rows + 3 * engine.cols + 6 + int(engine.kind == "gemv")


def engine_cycles(shape: GemmShape, engine: Engine, pattern: Pattern) -> int:
    """Cycles from the first offered beat to the last accepted sum, streams never short."""
    steps, tail = steps_per_tile(shape.k, engine, pattern), tail_cycles(engine)
    first, pause = (2, 3) if engine.kind == "gemv" else (0, 0)
    batches = tiles(shape.m, engine.tokens) if pause else 1
    following = tiles(shape.n, engine.channels) * tiles(shape.m, engine.tokens) - batches
    later = (batches - 1) * max(pause + steps, tail + 2) + following * max(steps, tail + 2)
    return first + steps + later + tail
