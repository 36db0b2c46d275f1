"""Rows of the fpga table: cycles from the RTL, resources from synthesis, clocks from place and route."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nmforge.artifact.format import load_linear
from nmforge.artifact.header import read_header
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import GemmShape
from nmforge.core.reference import accumulate
from nmforge.fpga.model.cycles import engine_cycles
from nmforge.fpga.model.engine import Engine, Kind, engine_group
from nmforge.fpga.pnr.ecp5 import Placed, bitstream, place
from nmforge.fpga.pnr.netlist_sim import Stage, netlist_simulator, write_netlist
from nmforge.fpga.sim.device import simulate_device
from nmforge.fpga.sim.engine import Watch, engine_for, simulate
from nmforge.fpga.sources import DEVICE_HARNESS, TECHMAP, rtl_sources
from nmforge.fpga.synth.yosys import synthesize
from nmforge.io.records import write_point

SEED = 0
GROUP = 64
NETLISTS: dict[Stage, Callable[[Placed], Path]] = {"synthesis": lambda p: p.synthesized, "route": lambda p: p.routed}


def simulate_point(
    artifact: Path, layer: str, window: int | None, rows: int, cols: int, tile_rows: int, tokens: int, build_dir: Path,
    out: Path, trace: Path | None = None,
) -> None:  # fmt: skip
    """Run the first `tile_rows` output channels of a layer through one engine and compare every sum.

    `window` names the build: the layer's own windows, or wider ones that its pattern nests in. Activations are seeded
    int8[tokens, K]. `trace` names a waveform to leave. Raises NmforgeError where a sum differs from the reference.
    """
    linear = load_linear(artifact, layer).take_rows(slice(tile_rows))
    engine = engine_for(linear, rows, cols, window)
    xq = np.random.default_rng(SEED).integers(-127, 128, (tokens, linear.k), dtype=np.int8)
    watch = Watch.NOTHING if trace is None else Watch.WAVEFORM
    found = simulate(linear, xq, engine, build_dir, watch=watch, watched=trace)
    mismatches = int((found.acc != accumulate(linear, xq)).sum())
    if mismatches:
        raise NmforgeError(
            f"{artifact} layer {layer}: {mismatches} of {found.acc.size} sums of the engine for windows of "
            f"{engine.window} differ from the reference; the RTL or its image is wrong"
        )
    shape = GemmShape(tokens, linear.n, linear.k)
    model = engine_cycles(shape, engine, linear.pattern)
    row = engine_columns(engine, str(linear.pattern), "verilator", "rtl", SEED) | {
        "m": shape.m, "n": shape.n, "k": shape.k,
        "cycles": found.cycles, "ideal_cycles": found.ideal_cycles, "efficiency": found.efficiency,
        "model_cycles": model, "model_error": model / found.cycles - 1,
        "outputs_compared": found.acc.size, "mismatches": mismatches,
    }  # fmt: skip
    write_point(out, "fpga", [row])


def synthesize_point(
    kind: Kind, window: int, bits: int, rows: int, cols: int, target: str, build_dir: Path, out: Path
) -> None:
    """Count the resources of one engine; no clock is claimed."""
    engine = Engine(window, bits, rows, cols, GROUP, kind=kind)
    counts = synthesize(engine, target, build_dir)
    write_point(out, "fpga", [engine_columns(engine, build_name(window), target, "synthesis", SEED) | counts])


def place_point(
    window: int, bits: int, rows: int, cols: int, lanes: int, seed: int, build_dir: Path, out: Path
) -> None:
    """Place and route one engine with its banks and registers on an ECP5-85k; the clock is the post-route one."""
    engine = Engine(window, bits, rows, cols, GROUP, lanes, "device")
    placed = _place(engine, seed, build_dir)
    counts: dict[str, Any] = {
        "lut": placed.comb, "ff": placed.ff, "ram": placed.ram, "dsp": placed.dsp, "fmax_mhz": placed.fmax_mhz,
        "speed_grade": placed.speed_grade, "lut_share": placed.utilisation["TRELLIS_COMB"],
    }  # fmt: skip
    write_point(out, "fpga", [engine_columns(engine, build_name(window), "ecp5", "route", seed) | counts])


def pack_bitstream(
    window: int, bits: int, rows: int, cols: int, lanes: int, seed: int, build_dir: Path, out: Path
) -> tuple[Placed, int]:
    """Write the bitstream of the device that `place_point` places, and place it if that was not done yet.

    Returns the placed design and the bytes of the bitstream.
    """
    placed = _place(Engine(window, bits, rows, cols, GROUP, lanes, "device"), seed, build_dir)
    return placed, bitstream(placed, out)


def _place(engine: Engine, seed: int, build_dir: Path) -> Placed:
    return place(engine.top, rtl_sources(), engine.parameters, seed, build_dir, techmap=TECHMAP["ecp5"])


def check_netlist(
    artifact: Path, layer: str, rows: int, cols: int, seed: int, tokens: int, build_dir: Path, out: Path
) -> None:
    """Run a whole layer through the netlists of a device, synthesized and routed, and compare every sum with the
    reference.

    Writes two rows of the coherence table, backends `ecp5-synthesis` and `ecp5-route`. Raises NmforgeError where a sum
    differs.
    """
    linear = load_linear(artifact, layer)
    group = engine_group(linear.group_size, linear.pattern)
    engine = Engine(linear.pattern.window, linear.bits, rows, cols, group, kind="device")
    placed = _place(engine, seed, build_dir)
    xq = np.random.default_rng(SEED).integers(-127, 128, (tokens, linear.k), dtype=np.int8)
    expected, found = accumulate(linear, xq), []
    common = {"design_id": read_header(artifact)["design"]["id"], "layer": layer, "mismatches": 0}
    for stage, netlist in NETLISTS.items():
        verilog = write_netlist(
            stage, netlist(placed), engine.top, build_dir / f"{placed.routed.parent.name}-{stage}.v"
        )
        program = netlist_simulator(verilog, engine.top, build_dir, harness=DEVICE_HARNESS)
        acc = simulate_device(linear, xq, engine, build_dir, program=program).acc
        mismatches = int((acc != expected).sum())
        if mismatches:
            raise NmforgeError(
                f"{artifact} layer {layer}: {mismatches} of {acc.size} sums of the netlist after {stage} differ from "
                "the reference; the tools or their cell models are wrong"
            )
        note = f"{rows}x{cols} device after {stage}, seed {seed}, all {linear.n} rows"
        found.append({**common, "backend": f"ecp5-{stage}", "note": note, "compared": acc.size})
    write_point(out, "coherence", found)


def build_name(window: int) -> str:
    """What a build runs: `dense`, or `N:4` for every keep:4 and what nests in it."""
    return "dense" if window == 1 else f"N:{window}"


def engine_columns(engine: Engine, pattern: str, target: str, stage: str, seed: int) -> dict[str, Any]:
    """Columns that every row of the table has; what a stage does not measure stays empty."""
    empty = dict.fromkeys(("cycles", "ideal_cycles", "efficiency", "lut", "ff", "dsp", "fmax_mhz"))
    return empty | {
        "engine": engine.kind, "pattern": pattern, "window": engine.window, "lanes": engine.lanes, "rows": engine.rows,
        "cols": engine.cols, "bits": engine.bits, "target": target, "seed": seed, "stage": stage,
    }  # fmt: skip
