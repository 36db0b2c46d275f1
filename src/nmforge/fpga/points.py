"""Rows of the fpga table: cycles from the RTL, resources from synthesis, clocks from place and route."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nmforge.artifact.format import load_linear
from nmforge.artifact.header import read_header
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import GemmShape, Pattern
from nmforge.core.reference import accumulate
from nmforge.fpga.model.cycles import engine_cycles
from nmforge.fpga.model.engine import Engine, engine_group
from nmforge.fpga.model.rows import SEED, build_name, engine_columns
from nmforge.fpga.pnr.ecp5 import PlaceSettings, RoutedDesign, bitstream, engine_design, place
from nmforge.fpga.pnr.netlist_cells import Stage
from nmforge.fpga.pnr.netlist_sim import netlist_simulator, write_netlist
from nmforge.fpga.sim.device import simulate_device
from nmforge.fpga.sim.engine import SimulationSettings, simulate
from nmforge.fpga.sim.verilator import Watch
from nmforge.fpga.sources import DEVICE_TESTBENCH
from nmforge.fpga.synth.yosys import synthesize
from nmforge.io.records import write_point

NETLISTS: dict[Stage, Callable[[RoutedDesign], Path]] = {
    "synthesis": lambda routed: routed.synthesized,
    "route": lambda routed: routed.routed,
}


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


def synthesize_point(engine: Engine, target: str, build_dir: Path, out: Path) -> None:
    """Count the resources of one engine on an FPGA family; no clock is claimed."""
    counts = synthesize(engine, target, build_dir)
    write_point(out, "fpga", [engine_columns(engine, build_name(engine.window), target, "synthesis") | counts])


def place_point(device: Engine, seed: int, build_dir: Path, out: Path) -> None:
    """Place and route a device on an ECP5-85k; the clock is the post-route one."""
    routed = place(engine_design(device), PlaceSettings(seed), build_dir)
    counts: dict[str, Any] = {
        "lut": routed.comb, "ff": routed.ff, "ram": routed.ram, "dsp": routed.dsp, "fmax_mhz": routed.fmax_mhz,
        "speed_grade": routed.settings.speed_grade, "lut_share": routed.utilisation["TRELLIS_COMB"],
    }  # fmt: skip
    row = engine_columns(device, build_name(device.window), "ecp5", "route", seed) | counts
    write_point(out, "fpga", [row])


def pack_bitstream(device: Engine, seed: int, build_dir: Path, out: Path) -> tuple[RoutedDesign, int]:
    """Write the bitstream of the device that `place_point` places, and place it if that was not done yet.

    Returns the routed design and the bytes of the bitstream.
    """
    routed = place(engine_design(device), PlaceSettings(seed), build_dir)
    return routed, bitstream(routed, out)


@dataclass(frozen=True)
class NetlistSettings:
    """The layer that runs through the netlists of a device of rows x cols, and how many tokens; the placer's seed."""

    layer: str
    rows: int
    cols: int
    tokens: int
    seed: int


def check_netlist(artifact: Path, settings: NetlistSettings, build_dir: Path, out: Path) -> None:
    """Run a whole layer through the netlists of a device, synthesized and routed, and compare every sum with the
    reference.

    Writes two rows of the coherence table, backends `ecp5-synthesis` and `ecp5-route`. Raises NmforgeError where a sum
    differs.
    """
    linear = load_linear(artifact, settings.layer)
    group = engine_group(linear.group_size, linear.pattern)
    device = Engine(linear.pattern.window, linear.bits, settings.rows, settings.cols, group, kind="device")
    routed = place(engine_design(device), PlaceSettings(settings.seed), build_dir)
    common = {"design_id": read_header(artifact)["design"]["id"], "layer": settings.layer, "mismatches": 0}
    found = []
    for stage in NETLISTS:
        compared, mismatches = _compare_netlist(linear, device, routed, stage, settings.tokens)
        if mismatches:
            raise NmforgeError(
                f"{artifact} layer {settings.layer}: {mismatches} of {compared} sums of the netlist after {stage} "
                "differ from the reference; the tools or their cell models are wrong"
            )
        note = f"{device.rows}x{device.cols} device after {stage}, seed {settings.seed}, all {linear.n} rows"
        found.append({**common, "backend": f"ecp5-{stage}", "note": note, "compared": compared})
    write_point(out, "coherence", found)


def _compare_netlist(
    linear: CompressedLinear, device: Engine, routed: RoutedDesign, stage: Stage, tokens: int
) -> tuple[int, int]:
    """Sums of the netlist after a stage, and how many of them differ from the reference."""
    build_dir = routed.folder.parent
    verilog = build_dir / f"{routed.folder.name}-{stage}.v"
    write_netlist(stage, NETLISTS[stage](routed), device.top, verilog)
    program = netlist_simulator(verilog, device.top, build_dir, testbench=DEVICE_TESTBENCH)
    xq = np.random.default_rng(SEED).integers(-127, 128, (tokens, linear.k), dtype=np.int8)
    acc = simulate_device(linear, xq, device, build_dir, program=program).acc
    return acc.size, int((acc != accumulate(linear, xq)).sum())


def _core_for(linear: CompressedLinear, tile: LayerTile) -> Engine:
    """The gemm core for a layer."""
    window = tile.window or linear.pattern.window
    group = engine_group(linear.group_size, Pattern(1, tile.window) if tile.window else linear.pattern)
    return Engine(window, linear.bits, tile.rows, tile.cols, group)
