"""Closed forms for the cycles of the engines, checked against the RTL wherever the RTL is run.

Symbols: R rows, C columns, S = K / (window * lanes) * keep steps of a tile, T tiles, and the tail R + 3C + 6: the
cycles from the launch of a tile's last step to its last sum on the output (1 edge register, R - 1 row skew, 4 of the
PE, 2(C - 1) drain, 4 whole sum and its product, 1 sum, C output beats).

Steps are launched one a cycle, tile after tile. The last step of a tile waits until the sums of the tile before have
been sent, two cycles more than the tail after that tile's last launch; a tile of more steps is never held back.

The GEMV engine pauses two cycles before its first token and three before every other one, until the first
window is in its bank, and has one more edge register in its tail.

The device loads its operands from narrow streams, and sends one sum a cycle. Each row tile of weights is loaded in L
cycles into one of two buffers, and the last step of a tile is launched, in cycles from the first word taken, at

    end(r, c) = max(end before + S, one more where c = 0: a buffer is turned,
                    end before + X,                       the sums before have left: X = C(R + 4) + 11,
                    loaded(r) + S, where c = 0,
                    words of c + 1 column tiles of activations + keep + 1, where r = 0)
    loaded(r) = max(loaded(r - 1), end(r - 2, last) + 1) + L

and its last sum leaves X + R + 7 cycles after the last end. L is a cycle a word and one more for each group of codes,
each group of offsets and each scale plane (nmforge_weight_loader).
"""

from __future__ import annotations

from nmforge.core.formats import GemmShape, Pattern
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.model.tiling import tiles


def steps_per_tile(k: int, engine: Engine, pattern: Pattern) -> int:
    """S: kept weights of one output, lanes side by side."""
    return k // (engine.window * engine.lanes) * engine.keep(pattern)


def ideal_cycles(shape: GemmShape, engine: Engine, pattern: Pattern) -> int:
    """Every PE takes one step each cycle: T * S."""
    return tiles(shape.n, engine.channels) * tiles(shape.m, engine.tokens) * steps_per_tile(shape.k, engine, pattern)


def tail_cycles(engine: Engine) -> int:
    """From the launch of a tile's last step to its last sum: R + 3C + 6, one more for the GEMV engine."""
    return engine.rows + 3 * engine.cols + 6 + int(engine.kind == "gemv")


def engine_cycles(shape: GemmShape, engine: Engine, pattern: Pattern) -> int:
    """Cycles from the first offered beat to the last accepted sum, streams never short."""
    if engine.kind == "device":
        return _device_cycles(shape, engine, pattern)
    steps, tail = steps_per_tile(shape.k, engine, pattern), tail_cycles(engine)
    first, pause = (2, 3) if engine.kind == "gemv" else (0, 0)
    batches = tiles(shape.m, engine.tokens) if pause else 1
    following = tiles(shape.n, engine.channels) * tiles(shape.m, engine.tokens) - batches
    later = (batches - 1) * max(pause + steps, tail + 2) + following * max(steps, tail + 2)
    return first + steps + later + tail


def load_cycles(k: int, engine: Engine, pattern: Pattern) -> int:
    """L: what the device's loader takes for one row tile of weights."""
    steps, groups, keep = steps_per_tile(k, engine, pattern), k // engine.group, engine.keep(pattern)
    beats = engine.code_bytes + engine.index_bytes(keep)
    words = 8 * (steps * beats + groups * engine.channels) // engine.word_bits
    planes_of_steps = 1 if keep == engine.window else 2
    return words + planes_of_steps * groups + tiles(groups, engine.groups_per_block)


def _device_cycles(shape: GemmShape, engine: Engine, pattern: Pattern) -> int:
    """`engine_cycles` of the device."""
    steps, load = steps_per_tile(shape.k, engine, pattern), load_cycles(shape.k, engine, pattern)
    sending = engine.cols * (engine.rows + 4) + 11
    window_words = 8 * engine.act_bytes // engine.act_bits
    column_words = shape.k // (engine.window * engine.lanes) * window_words
    end, loaded, freed = -sending, 0, [0, 0]  # freed: when each of the two buffers takes another row tile
    for row in range(tiles(shape.n, engine.channels)):
        loaded = max(loaded, freed[row % 2]) + load
        for column in range(tiles(shape.m, engine.tokens)):
            ready = loaded if column == 0 else 0
            arrived = (column + 1) * column_words + engine.keep(pattern) + 1 if row == 0 else 0
            end = max(end + steps + int(column == 0), end + sending, ready + steps, arrived)
        freed[row % 2] = end + 1
    return end + sending + engine.rows + 7
