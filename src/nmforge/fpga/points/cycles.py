"""Cycles of the RTL on a tile of a layer, every sum compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nmforge.artifact.format import load_linear
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import GemmShape, Pattern
from nmforge.core.reference import accumulate
from nmforge.fpga.model.cycles import engine_cycles
from nmforge.fpga.model.engine import Engine, engine_group
from nmforge.fpga.model.rows import SEED, engine_columns
from nmforge.fpga.sim.engine import SimulationSettings, simulate
from nmforge.fpga.sim.verilator import Watch
from nmforge.io.records import write_point


@dataclass(frozen=True)
class LayerTile:
    """The first `tile_rows` output channels of a layer, and the array that runs them with `tokens` tokens.

    window: windows of the build, the layer's own or wider ones that its pattern nests in; None for its own.
    """

    layer: str
    rows: int
    cols: int
    tile_rows: int
    tokens: int
    window: int | None = None


def simulate_point(artifact: Path, tile: LayerTile, build_dir: Path, out: Path, trace: Path | None = None) -> None:
    """Run a tile of a layer through the gemm core and compare every sum; activations are seeded int8[tokens, K].

    `trace` names a waveform to write. Raises NmforgeError where a sum differs from the reference.
    """
    linear = load_linear(artifact, tile.layer).take_rows(slice(tile.tile_rows))
    engine = _core_for(linear, tile)
    xq = np.random.default_rng(SEED).integers(-127, 128, (tile.tokens, linear.k), dtype=np.int8)
    watch = Watch.NOTHING if trace is None else Watch.WAVEFORM
    found = simulate(linear, xq, engine, build_dir, SimulationSettings(watch=watch, watched=trace))
    mismatches = int((found.acc != accumulate(linear, xq)).sum())
    if mismatches:
        raise NmforgeError(
            f"{artifact} layer {tile.layer}: {mismatches} of {found.acc.size} sums of the engine for windows of "
            f"{engine.window} differ from the reference; the RTL or its image is wrong"
        )
    shape = GemmShape(tile.tokens, linear.n, linear.k)
    model = engine_cycles(shape, engine, linear.pattern)
    row = engine_columns(engine, str(linear.pattern), "verilator", "rtl") | {
        "m": shape.m, "n": shape.n, "k": shape.k,
        "cycles": found.cycles, "ideal_cycles": found.ideal_cycles, "efficiency": found.efficiency,
        "model_cycles": model, "model_error": model / found.cycles - 1,
        "outputs_compared": found.acc.size, "mismatches": mismatches,
    }  # fmt: skip
    write_point(out, "fpga", [row])


def _core_for(linear: CompressedLinear, tile: LayerTile) -> Engine:
    """The gemm core for a layer."""
    window = tile.window or linear.pattern.window
    group = engine_group(linear.group_size, Pattern(1, tile.window) if tile.window else linear.pattern)
    return Engine(window, linear.bits, tile.rows, tile.cols, group)
