"""Moves registers at the outputs of block RAMs into the block RAMs, where ECP5 has registers that Yosys leaves unused.

A DP16KD without its output register takes 5.8 ns from clock to data in the slowest grade, most of a cycle at 160 MHz. A
register whose input is nothing but such an output, on the same clock and always enabled, is the same register: the pass
sets REGMODE to OUTREG and connects the RAM to the register's output.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

Cell = dict[str, Any]
SIDES = ("A", "B")


def absorb_output_registers(netlist: dict[str, Any], top: str) -> int:
    """Change a Yosys JSON netlist in place; returns how many register bits the block RAMs took over.

    A side of a RAM changes only where every one of its used data outputs feeds exactly one plain register of its clock.
    """
    module = netlist["modules"][top]
    cells: dict[str, Cell] = module["cells"]
    readers = _readers(module)
    taken = 0
    for ram in [cell for cell in cells.values() if cell["type"] == "DP16KD"]:
        for side in SIDES:
            registers = _registers_of(ram, side, cells, readers)
            if registers is None:
                continue
            for port, name in registers.items():
                ram["connections"][port] = cells.pop(name)["connections"]["Q"]
            ram["parameters"][f"REGMODE_{side}"] = "OUTREG"
            ram["connections"][f"OCE{side}"] = ["1"]
            taken += len(registers)
    return taken


def _readers(module: dict[str, Any]) -> dict[int, list[tuple[str, str]]]:
    """(cell, port) of everything that reads a net; an output port of the module reads as the cell ``."""
    readers: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for name, cell in module["cells"].items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] != "output":
                for bit in bits:
                    readers[bit].append((name, port))
    for port in module["ports"].values():
        for bit in port["bits"]:
            readers[bit].append(("", "port"))
    return readers


def _registers_of(
    ram: Cell, side: str, cells: dict[str, Cell], readers: dict[int, list[tuple[str, str]]]
) -> dict[str, str] | None:
    """Data output -> the register that it feeds, for one side of a RAM; None where one of them is anything else."""
    found: dict[str, str] = {}
    for port, bits in ram["connections"].items():
        if not port.startswith(f"DO{side}") or not bits or not readers[bits[0]]:
            continue
        (name, pin), *others = readers[bits[0]]
        if others or pin != "DI" or not _is_plain(cells[name], ram["connections"][f"CLK{side}"]):
            return None
        found[port] = name
    return found or None


def _is_plain(cell: Cell, clock: list[int]) -> bool:
    """A rising-edge register of `clock` that takes its input in every cycle."""
    connections, parameters = cell["connections"], cell["parameters"]
    return (
        cell["type"] == "TRELLIS_FF"
        and connections["CLK"] == clock
        and parameters["CLKMUX"] == "CLK"
        and (parameters["CEMUX"].strip() == "1" or connections.get("CE") == ["1"])
        and connections.get("LSR", []) in ([], ["0"])
    )
