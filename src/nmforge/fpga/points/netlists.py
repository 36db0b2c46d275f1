"""A layer through the netlists of a device, every sum compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nmforge.artifact.format import load_linear
from nmforge.artifact.header import read_header
from nmforge.core.compressed_linear import CompressedLinear
from nmforge.core.errors import NmforgeError
from nmforge.core.reference import accumulate
from nmforge.fpga.model.engine import Engine, engine_group
from nmforge.fpga.model.rows import SEED
from nmforge.fpga.pnr.ecp5 import PlaceSettings, RoutedDesign, engine_design, place
from nmforge.fpga.pnr.netlist_cells import Stage
from nmforge.fpga.pnr.netlist_sim import netlist_simulator, write_netlist
from nmforge.fpga.sim.device import simulate_device
from nmforge.fpga.sources import DEVICE_TESTBENCH
from nmforge.io.records import write_point

NETLISTS: dict[Stage, Callable[[RoutedDesign], Path]] = {
    "synthesis": lambda routed: routed.synthesized,
    "route": lambda routed: routed.routed,
}


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
