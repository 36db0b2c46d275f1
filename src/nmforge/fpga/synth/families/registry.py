"""What an FPGA family is, and the registry of those there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nmforge.core.registry import Registry

Counts = dict[str, int]  # cells by type, or lut, ff and dsp


@dataclass(frozen=True)
class FpgaFamily:
    """A family of FPGAs as Yosys synthesizes for it.

    synthesis: the Yosys command, without the name of the top module. count: cells by Yosys' type -> {lut, ff, dsp}.
    techmap: Verilog that gives cells of the family for modules of the RTL; None where Yosys finds the best itself.
    """

    name: str
    summary: str
    synthesis: str
    count: Callable[[Counts], Counts]
    techmap: Path | None = None


REGISTRY: Registry[FpgaFamily] = Registry("fpga_family")
