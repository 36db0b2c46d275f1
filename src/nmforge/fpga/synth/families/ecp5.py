"""Lattice ECP5."""

from __future__ import annotations

from pathlib import Path

from nmforge.fpga.synth.families.registry import REGISTRY, Counts, FpgaFamily

DISTRIBUTED_RAM_LUTS = 4  # of a TRELLIS_DPR16X4


def count(cells: Counts) -> Counts:
    """From cell types of synth_ecp5. A carry cell has two LUT inputs and counts as two LUTs."""
    memory = DISTRIBUTED_RAM_LUTS * cells.get("TRELLIS_DPR16X4", 0)
    return {
        "lut": cells.get("LUT4", 0) + 2 * cells.get("CCU2C", 0) + memory,
        "ff": cells.get("TRELLIS_FF", 0),
        "dsp": cells.get("MULT18X18D", 0),
    }


TECHMAP = Path(__file__).parents[1] / "techmap" / "ecp5.v"
ECP5 = REGISTRY.add(FpgaFamily("ecp5", "Lattice ECP5, LUTs of 4 inputs", "synth_ecp5 -nodsp", count, TECHMAP))
