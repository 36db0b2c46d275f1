"""Random layers of any size through an engine: rows of the fpga table that need no artifact.

Stage `random`: a whole layer, every sum compared with the reference, with streams that are never short and with
memories of several bandwidths. Stage `activity`: toggles of its signals.
Stage `scale-sim`: what SCALE-Sim counts for the same layer on an array of the same size.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nmforge.core.compressed_linear import CompressedLinear, Int8, random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import GemmShape, Pattern
from nmforge.core.reference import accumulate
from nmforge.fpga.images.weight_image import kept_weights, write_weight_image
from nmforge.fpga.model.cycles import engine_cycles, ideal_cycles, steps_per_tile
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.model.memory import UNLIMITED, MemoryChannel
from nmforge.fpga.model.rows import SEED, engine_columns
from nmforge.fpga.model.tiling import tiles
from nmforge.fpga.sim.activity import read_toggles
from nmforge.fpga.sim.device import simulate_device
from nmforge.fpga.sim.engine import SimulationSettings, simulate
from nmforge.fpga.sim.scale_sim import VERSION, scale_sim_cycles
from nmforge.fpga.sim.simulator import SimulationResult
from nmforge.fpga.sim.verilator import Watch, build_simulator
from nmforge.io.records import write_point

Row = dict[str, Any]


@dataclass(frozen=True)
class RandomLayer:
    """A seeded random layer of N x K in a pattern, with the engine's bits and groups, and its int8[M, K]."""

    engine: Engine
    pattern: Pattern
    shape: GemmShape

    @cached_property
    def operands(self) -> tuple[CompressedLinear, Int8]:
        """The layer and its activations."""
        rng, (m, n, k) = np.random.default_rng(SEED), (self.shape.m, self.shape.n, self.shape.k)
        linear = random_linear(rng, n, k, self.pattern, self.engine.bits, self.engine.group)
        return linear, rng.integers(-127, 128, (m, k), dtype=np.int8)

    def columns(self, target: str, stage: str) -> Row:
        """Columns of any of its rows."""
        sizes = {"m": self.shape.m, "n": self.shape.n, "k": self.shape.k}
        return engine_columns(self.engine, str(self.pattern), target, stage) | sizes

    def on_deep_banks(self) -> RandomLayer:
        """The same on a device with banks, a power of two of rows, that hold a row tile and all tokens."""
        engine = self.engine
        windows = self.shape.k // (engine.window * engine.lanes) * tiles(self.shape.m, engine.cols)
        rows = max(steps_per_tile(self.shape.k, engine, self.pattern), windows)
        return replace(self, engine=replace(engine, depth=1 << (rows - 1).bit_length()))


def random_point(
    layer: RandomLayer, memories: Sequence[MemoryChannel], build_dir: Path, out: Path, *, scale_sim: bool = False,
    activity: bool = False,
) -> list[Row]:  # fmt: skip
    """Simulate a random layer without a limit of bandwidth, then with each of the memories.

    activity: also count toggles. scale_sim: also ask SCALE-Sim. A device is built with banks that hold the layer; its
    cycles count from the first word loaded to the last sum taken, those of a core from the first beat. `seconds` is
    what writing the images, simulating and reading the sums took; the simulator is built before, or found again.
    Writes and returns the rows. Raises NmforgeError where a sum differs from the reference, or a device is asked for
    more than its cycles.
    """
    if layer.engine.kind == "device":
        if memories or activity or scale_sim:
            raise NmforgeError(
                "a device loads its banks before it works; take --engine gemm for --rates, --board, --activity, "
                "--scale-sim"
            )
        layer = layer.on_deep_banks()
    build_simulator(layer.engine, build_dir)
    rows = [_simulated_row(layer, memory, build_dir) for memory in (UNLIMITED, *memories)]
    if activity:
        rows.append(_activity_row(layer, build_dir))
    if scale_sim:
        rows.append(_scale_sim_row(layer))
    write_point(out, "fpga", rows)
    return rows


def _simulated_row(layer: RandomLayer, memory: MemoryChannel, build_dir: Path) -> Row:
    """One simulation whose sums are all right.

    memory_rate: bytes a cycle of the memory, empty where streams are never short. bytes_per_cycle: what was read of
    the weights. memory_share: that over what the memory sustains with its refresh.
    """
    (linear, xq), start = layer.operands, time.perf_counter()
    found = _simulate(layer, memory, build_dir)
    seconds = time.perf_counter() - start
    mismatches = int((found.acc != accumulate(linear, xq)).sum())
    if mismatches:
        raise NmforgeError(
            f"{mismatches} of {found.acc.size} sums of a random {layer.pattern} layer {layer.shape} differ from the "
            "reference; the RTL or its image is wrong"
        )
    limited, used = memory.is_limited, found.weight_bytes / found.cycles
    row = layer.columns("verilator", "random") | {
        "cycles": found.cycles, "ideal_cycles": found.ideal_cycles, "efficiency": found.efficiency,
        "outputs_compared": found.acc.size, "mismatches": 0,
        "board": memory.board,
        "memory_rate": memory.bytes_per_cycle if limited else None,
        "bytes_per_cycle": used if limited else None,
        "memory_share": used / memory.sustained if limited else None,
    }  # fmt: skip
    if not limited:
        model = engine_cycles(layer.shape, layer.engine, layer.pattern)
        row |= {"model_cycles": model, "model_error": model / found.cycles - 1}
    return row | {"seconds": seconds}


def _simulate(layer: RandomLayer, memory: MemoryChannel, build_dir: Path) -> SimulationResult:
    """The layer on its engine."""
    linear, xq = layer.operands
    if layer.engine.kind == "device":
        return simulate_device(linear, xq, layer.engine, build_dir)
    return simulate(linear, xq, layer.engine, build_dir, SimulationSettings(memory=memory))


def _scale_sim_row(layer: RandomLayer) -> Row:
    """SCALE-Sim's count for an array of as many channels and tokens."""
    start = time.perf_counter()
    cycles = scale_sim_cycles(layer.engine.channels, layer.engine.tokens, layer.pattern, layer.shape)
    seconds, ideal = time.perf_counter() - start, ideal_cycles(layer.shape, layer.engine, layer.pattern)
    return layer.columns(f"scale-sim {VERSION}", "scale-sim") | {
        "cycles": cycles, "ideal_cycles": ideal, "efficiency": ideal / cycles, "seconds": seconds,
    }  # fmt: skip


def _activity_row(layer: RandomLayer, build_dir: Path) -> Row:
    """Toggles by part, and bytes with each operand read once and each sum written once: all of it per multiplication of
    the dense layer, M * N * K."""
    (linear, xq), engine = layer.operands, layer.engine
    work = layer.shape.m * layer.shape.n * layer.shape.k
    with tempfile.TemporaryDirectory(prefix="toggles-") as folder:
        file = Path(folder) / "toggles.dat"
        found = simulate(linear, xq, engine, build_dir, SimulationSettings(watch=Watch.TOGGLES, watched=file))
        toggles = read_toggles(file)
    moved = write_weight_image(kept_weights(linear, engine), engine).nbytes + xq.size + 4 * found.acc.size
    return layer.columns("verilator", "activity") | {
        "cycles": found.cycles,
        **{f"{part}_toggles": count / work for part, count in toggles.items()},
        "toggles": sum(toggles.values()) / work, "bytes_per_mac": moved / work,
    }  # fmt: skip
