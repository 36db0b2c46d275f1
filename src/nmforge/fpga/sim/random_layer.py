"""Random layers of any size through an engine: rows of the fpga table that need no artifact.

Stage `random`: a whole layer, every sum compared with the reference, behind streams that are never short and behind
memories of several bandwidths. Stage `activity`: toggles of its signals.
Stage `peer`: what SCALE-Sim counts for the same layer on an array of the same size.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nmforge.core.compressed_linear import CompressedLinear, Int8, random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import GemmShape, Pattern
from nmforge.core.reference import accumulate
from nmforge.fpga.boards.boards import load_boards
from nmforge.fpga.images.weight_image import kept_weights, tiles, weight_image
from nmforge.fpga.model.cycles import engine_cycles, ideal_cycles, steps_per_tile
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.points import SEED, engine_columns
from nmforge.fpga.sim.activity import read_toggles
from nmforge.fpga.sim.device import build_device, simulate_device
from nmforge.fpga.sim.engine import UNLIMITED, Memory, SimulationResult, Watch, build_simulator, simulate
from nmforge.fpga.sim.scale_sim import VERSION, scale_sim_cycles
from nmforge.io.records import write_point

Row = dict[str, Any]
# A DDR4 channel behind a slow controller, as an engine of 150 MHz sees it: 60 cycles (400 ns) from request to burst,
# refreshed for 350 ns of every 7.8 us.
LATENCY, REFRESH_INTERVAL, REFRESH_CYCLES = 60, 1170, 53


class Source(NamedTuple):
    """Where weights come from: a memory, and the board whose it is."""

    memory: Memory = UNLIMITED
    board: str | None = None


def memory_of(rate: float) -> Source:
    """A DDR4 channel of this many bytes a cycle."""
    return Source(Memory(rate, LATENCY, REFRESH_INTERVAL, REFRESH_CYCLES))


def memory_of_board(name: str, clock_mhz: float | None) -> Source:
    """A channel of a board's memory, in cycles of an engine with the board's clock or the one given.

    Raises NmforgeError for an unknown board, or one without a clock where none is given.
    """
    boards = load_boards().boards
    if name not in boards:
        raise NmforgeError(f"board {name} is unknown; choose one of {', '.join(boards)}")
    known = boards[name].clock_mhz
    clock = clock_mhz or (known.value if known else None)
    if clock is None:
        raise NmforgeError(f"board {name} has no clock of its own; name that of the engine with --clock")
    return Source(boards[name].channel(clock), name)


def random_point(
    engine: Engine, pattern: Pattern, shape: GemmShape, memories: Sequence[Source], build_dir: Path, out: Path,
    *, peer: bool = False, activity: bool = False,
) -> list[Row]:  # fmt: skip
    """Simulate a seeded random layer without a limit of bandwidth, then behind each of the memories.

    activity: also count toggles. peer: also ask SCALE-Sim. A device is built with banks that hold the layer; its cycles
    count from the first word loaded to the last sum taken, those of a streaming engine from the first beat. `seconds`
    is what writing the images, simulating and reading the sums took; the simulator is built before, or found again.
    Writes and returns the rows. Raises NmforgeError where a sum differs from the reference, or a device is asked for
    more than its cycles.
    """
    if engine.kind == "device":
        if memories or activity or peer:
            raise NmforgeError(
                "a device loads its banks before it works; take --engine gemm for --rates, --board, --activity, --peer"
            )
        engine = deep_enough(engine, shape, pattern)
        build_device(engine, build_dir)
    else:
        build_simulator(engine, build_dir)
    linear, xq = random_problem(shape, pattern, engine)
    expected, rows = accumulate(linear, xq), []
    for source in [Source(), *memories]:
        start = time.perf_counter()
        found = _simulated(engine, linear, xq, source.memory, build_dir)
        seconds = time.perf_counter() - start
        mismatches = int((found.acc != expected).sum())
        if mismatches:
            raise NmforgeError(
                f"{mismatches} of {found.acc.size} sums of a random {pattern} layer {shape} differ from the reference; "
                "the RTL or its image is wrong"
            )
        rows.append(_row(engine, pattern, shape, source, found) | {"seconds": seconds})
    if activity:
        rows.append(_activity_row(engine, pattern, shape, linear, xq, build_dir))
    if peer:
        rows.append(_peer_row(engine, pattern, shape))
    write_point(out, "fpga", rows)
    return rows


def _peer_row(engine: Engine, pattern: Pattern, shape: GemmShape) -> Row:
    """SCALE-Sim's count for an array of as many channels and tokens."""
    start = time.perf_counter()
    cycles = scale_sim_cycles(engine.channels, engine.tokens, pattern, shape)
    seconds, ideal = time.perf_counter() - start, ideal_cycles(shape, engine, pattern)
    return engine_columns(engine, str(pattern), f"scale-sim {VERSION}", "peer", SEED) | {
        "m": shape.m, "n": shape.n, "k": shape.k,
        "cycles": cycles, "ideal_cycles": ideal, "efficiency": ideal / cycles, "seconds": seconds,
    }  # fmt: skip


def _activity_row(
    engine: Engine, pattern: Pattern, shape: GemmShape, linear: CompressedLinear, xq: Int8, build_dir: Path
) -> Row:
    """Toggles by part, and bytes with each operand read once and each sum written once: all of it per multiplication of
    the dense layer, M * N * K."""
    work = shape.m * shape.n * shape.k
    with tempfile.TemporaryDirectory(prefix="toggles-") as folder:
        file = Path(folder) / "toggles.dat"
        found = simulate(linear, xq, engine, build_dir, watch=Watch.TOGGLES, watched=file)
        toggles = read_toggles(file)
    moved = weight_image(kept_weights(linear, engine), engine).nbytes + xq.size + 4 * found.acc.size
    return engine_columns(engine, str(pattern), "verilator", "activity", SEED) | {
        "m": shape.m, "n": shape.n, "k": shape.k, "cycles": found.cycles,
        **{f"{part}_toggles": count / work for part, count in toggles.items()},
        "toggles": sum(toggles.values()) / work, "bytes_per_mac": moved / work,
    }  # fmt: skip


def random_problem(shape: GemmShape, pattern: Pattern, engine: Engine) -> tuple[CompressedLinear, Int8]:
    """A seeded layer of N x K with the engine's bits and groups, and int8[M, K] activations."""
    rng = np.random.default_rng(SEED)
    linear = random_linear(rng, shape.n, shape.k, pattern, engine.bits, engine.group)
    return linear, rng.integers(-127, 128, (shape.m, shape.k), dtype=np.int8)


def deep_enough(engine: Engine, shape: GemmShape, pattern: Pattern) -> Engine:
    """The same device with banks, a power of two of rows, that hold a row tile and all tokens."""
    windows = shape.k // (engine.window * engine.lanes) * tiles(shape.m, engine.cols)
    rows = max(steps_per_tile(shape.k, engine, pattern), windows)
    return replace(engine, depth=1 << (rows - 1).bit_length())


def _simulated(engine: Engine, linear: CompressedLinear, xq: Int8, memory: Memory, build_dir: Path) -> SimulationResult:
    if engine.kind == "device":
        return simulate_device(linear, xq, engine, build_dir)
    return simulate(linear, xq, engine, build_dir, memory=memory)


def _row(engine: Engine, pattern: Pattern, shape: GemmShape, source: Source, found: SimulationResult) -> Row:
    """Columns of one simulation whose sums were all right.

    memory_rate: bytes a cycle of the memory, empty where streams are never short. bytes_per_cycle: what was read of
    the weights. memory_share: that over what the memory sustains with its refresh.
    """
    memory = source.memory
    limited = memory != UNLIMITED
    used = found.weight_bytes / found.cycles
    row = engine_columns(engine, str(pattern), "verilator", "random", SEED) | {
        "m": shape.m, "n": shape.n, "k": shape.k,
        "cycles": found.cycles, "ideal_cycles": found.ideal_cycles, "efficiency": found.efficiency,
        "outputs_compared": found.acc.size, "mismatches": 0,
        "board": source.board,
        "memory_rate": memory.bytes_per_cycle if limited else None,
        "bytes_per_cycle": used if limited else None,
        "memory_share": used / memory.sustained if limited else None,
    }  # fmt: skip
    if not limited:
        model = engine_cycles(shape, engine, pattern)
        row |= {"model_cycles": model, "model_error": model / found.cycles - 1}
    return row
