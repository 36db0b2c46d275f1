"""AMD UltraScale+; the closest that Yosys has for Versal too."""

from __future__ import annotations

from nmforge.core.errors import NmforgeError
from nmforge.fpga.synth.families.registry import REGISTRY, Counts, FpgaFamily

MEMORY_LUTS = {"SRL16E": 1, "SRLC32E": 1, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8}
FLIP_FLOPS = ("FDRE", "FDSE", "FDCE", "FDPE")


def count(cells: Counts) -> Counts:
    """From cell types of synth_xilinx; a CARRY chain shares the LUTs before it, LUTs used as memory count.

    Block RAM (RAMB18E2, RAMB36E2) takes no LUT. Raises NmforgeError for a memory cell whose LUTs are not known.
    """
    memories = [name for name in cells if name.startswith(("RAM", "SRL")) and not name.startswith("RAMB")]
    unknown = sorted(set(memories) - set(MEMORY_LUTS))
    if unknown:
        raise NmforgeError(f"xcup cell {unknown[0]} has no LUT count; add it to MEMORY_LUTS in {__file__}")
    logic = sum(number for name, number in cells.items() if name.startswith("LUT") or name == "INV")
    return {
        "lut": logic + sum(luts * cells.get(name, 0) for name, luts in MEMORY_LUTS.items()),
        "ff": sum(cells.get(name, 0) for name in FLIP_FLOPS),
        "dsp": cells.get("DSP48E2", 0),
    }


SYNTHESIS = "synth_xilinx -family xcup -nodsp -noiopad"
REGISTRY.add(FpgaFamily("xcup", "AMD UltraScale+, LUTs of 6 inputs", SYNTHESIS, count))
