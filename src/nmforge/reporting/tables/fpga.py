"""Table `fpga`."""

from __future__ import annotations

from nmforge.reporting.tables import _columns as shared
from nmforge.reporting.tables.registry import REGISTRY, Column, Table

COSTS = {
    "cycles": Column("cycles of the tile or layer", "cycles"),
    "ideal_cycles": Column("cycles with one kept weight per multiplier and cycle", "cycles"),
    "efficiency": Column("`ideal_cycles` over `cycles`"),
    "lut": Column("LUTs", "LUTs"),
    "ff": Column("flip-flops"),
    "dsp": Column("DSP blocks"),
    "fmax_mhz": Column("clock after place and route", "MHz"),
    "ram": Column("block RAMs of the routed device"),
    "speed_grade": Column("speed grade of the routed device"),
    "lut_share": Column("share of the chip's LUTs that the routed device takes"),
}
ACTIVITY = {
    f"{part}toggles": Column(f"transitions of signal bits{where} per multiplication of the dense layer")
    for part, where in {"": "", "array_": " in the array", "scale_": " in the scale unit",
                        "control_": " everywhere else"}.items()
}  # fmt: skip
COLUMNS = {
    **COSTS,
    **shared.ARRAY,
    "pattern": Column("pattern that is run, or `dense` / `N:4`: what a build runs"),
    "bits": Column("bits of a weight's code"),
    "target": Column("device family, or the tool that counted"),
    "seed": Column("seed of the activations, or of the placer"),
    "stage": Column("`rtl`, `random` (a random layer), `activity`, `scale-sim`, `synthesis`, `route` or `formal`"),
    **shared.SHAPE,
    "model_cycles": Column("cycles by the closed-form model", "cycles"),
    "model_error": Column("`model_cycles` over `cycles`, less 1"),
    "outputs_compared": Column("sums compared with the reference"),
    "mismatches": Column("sums that differ"),
    "board": Column("board whose memory channel feeds the engine"),
    "memory_rate": Column("bytes that the memory gives per cycle; empty where it is never short", "bytes/cycle"),
    "bytes_per_cycle": Column("bytes of weights read", "bytes/cycle"),
    "memory_share": Column("`bytes_per_cycle` over what the memory sustains with its refresh"),
    "seconds": Column("time of the simulation, count or proof", "s"),
    **ACTIVITY,
    "bytes_per_mac": Column("bytes per multiplication of the dense layer, each operand read once", "bytes"),
    "theorem": Column("what was proved"),
    "depth": Column("cycles of the induction; 0 where every input was covered", "cycles"),
    **shared.PROVENANCE,
}
SUMMARY = "one simulation, synthesis, placement or proof of an engine"
REGISTRY.add(Table("fpga", SUMMARY, "fpga", COLUMNS, order=80))
