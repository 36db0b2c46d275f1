"""Resources and clock of a device after place and route, and its bitstream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nmforge.fpga.model.engine import Engine
from nmforge.fpga.model.rows import build_name, engine_columns
from nmforge.fpga.pnr.ecp5 import PlaceSettings, RoutedDesign, bitstream, engine_design, place
from nmforge.fpga.synth.families.ecp5 import ECP5
from nmforge.io.records import write_point


def place_point(device: Engine, seed: int, build_dir: Path, out: Path) -> None:
    """Place and route a device on an ECP5-85k; the clock is the post-route one."""
    routed = place(engine_design(device), PlaceSettings(seed), build_dir)
    counts: dict[str, Any] = {
        "lut": routed.comb, "ff": routed.ff, "ram": routed.ram, "dsp": routed.dsp, "fmax_mhz": routed.fmax_mhz,
        "speed_grade": routed.settings.speed_grade, "lut_share": routed.utilisation["TRELLIS_COMB"],
    }  # fmt: skip
    row = engine_columns(device, build_name(device.window), ECP5.name, "route", seed) | counts
    write_point(out, "fpga", [row])


def pack_bitstream(device: Engine, seed: int, build_dir: Path, out: Path) -> tuple[RoutedDesign, int]:
    """Write the bitstream of the device that `place_point` places, and place it if that was not done yet.

    Returns the routed design and the bytes of the bitstream.
    """
    routed = place(engine_design(device), PlaceSettings(seed), build_dir)
    return routed, bitstream(routed, out)
