"""Netlists of ECP5 cells as Verilog, so that the testbench of the source drives what the tools made of it.

Two netlists are read, both JSON: Yosys's after synthesis, and nextpnr's after routing. The routed one is taken as it
is: LUTs as the packer merged them, carry chains with their feed-ins, LUT RAM split into its slices, pins and the
clock tree. What only moves a signal (pins, clock buffers) becomes a wire. A cell, parameter or pin that has no model
in netlist_cells.py is an error, never left out. Simulation models of the cells are in cells/.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nmforge.core.errors import NmforgeError
from nmforge.fpga.pnr.netlist_cell import Bit, Cell, Converter, expression
from nmforge.fpga.pnr.netlist_cells import CONVERTERS, Stage
from nmforge.fpga.sim.verilator import compile_simulator, testbench_digest
from nmforge.fpga.sources import ENGINE_TESTBENCH, FPGA, verilator_version

CELLS = FPGA / "pnr" / "cells"
# A gate netlist leaves outputs open, and port vectors come and go as single bits.
FLAGS = ("-Wno-PINCONNECTEMPTY", "-Wno-WIDTH", "-Wno-UNOPTFLAT", "-Wno-ALWCOMBORDER", "-Wno-DECLFILENAME")


def cell_models() -> list[Path]:
    """Our Verilog models of ECP5 cells in a fixed order."""
    return sorted(CELLS.glob("*.v"))


def write_netlist(stage: Stage, netlist: Path, top: str, out: Path) -> Path:
    """Write the netlist of one stage as Verilog module `top` with the ports of the source; returns `out`.

    `netlist` is RoutedDesign.synthesized or .routed. Raises NmforgeError for a cell or mode without a model.
    """
    modules = json.loads(netlist.read_text())["modules"]
    name = top if stage == "synthesis" else "top"  # nextpnr writes its one module under this name
    if name not in modules:
        raise NmforgeError(f"{netlist} holds no module {name}; place {top} again")
    out.write_text(netlist_verilog(modules[name], top, CONVERTERS[stage]))
    return out


def netlist_simulator(
    netlist: Path, top: str, build_dir: Path, options: Sequence[str] = (), testbench: Path = ENGINE_TESTBENCH
) -> Path:
    """Program that simulates a Verilog netlist with the testbench of the source; built once per netlist.

    `testbench` and `options` are those that the source's own simulator is built with.
    """
    sources = [netlist, *cell_models()]
    digest = hashlib.sha256(f"{top} {FLAGS} {list(options)} {verilator_version()}".encode())
    for path in sources:
        digest.update(path.read_bytes())
    digest.update(testbench_digest(testbench))
    program = build_dir / f"netlist-{digest.hexdigest()[:20]}"
    if not program.exists():
        compile_simulator(top, sources, [*FLAGS, *options], program, testbench)
    return program


def netlist_verilog(module: Mapping[str, Any], top: str, converters: Mapping[str, Converter]) -> str:
    """Verilog of one flat module of the JSON netlist."""
    nets: set[int] = set()
    lines: list[str] = []
    low: set[Bit] = {"0", "x", *_grounds(module["cells"])}
    for index, (name, raw) in enumerate(module["cells"].items()):
        cell = Cell.read(name, raw, low)
        if cell.type not in converters:
            raise NmforgeError(
                f"cell type {cell.type} (cell {name}) has no simulation model; "
                "add it to fpga/pnr/netlist_cells.py and fpga/pnr/cells"
            )
        nets.update(bit for bit in cell.pins.values() if isinstance(bit, int))
        text = converters[cell.type](cell).replace("@", f"u{index}")
        cell.finish()
        if text:
            lines.append(f"    {text} // {name}".replace("\\", "/"))
    ports, assigns = _ports(module["ports"], nets)
    wires = [f"    wire n{net};" for net in sorted(nets)]
    return "\n".join([f"module {top} ({', '.join(ports)});", *wires, *assigns, *lines, "endmodule", ""])


def _grounds(cells: Mapping[str, Any]) -> list[Bit]:
    """Nets that nextpnr ties to 0 with a LUT: a table of zeros without inputs."""
    found: list[Bit] = []
    for cell in cells.values():
        if cell["type"] == "TRELLIS_COMB" and set(str(cell["parameters"].get("INITVAL", "1"))) == {"0"}:
            inputs = any(bits for pin, bits in cell["connections"].items() if pin != "F")
            found += [] if inputs or "MODE" in cell["parameters"] else cell["connections"]["F"]
    return found


def _ports(ports: Mapping[str, Any], nets: set[int]) -> tuple[list[str], list[str]]:
    """Declarations of the ports, and the assignments that join them to their nets, which are added to `nets`."""
    declared, assigns = [], []
    for name, port in ports.items():
        bits: list[Bit] = port["bits"]
        declared.append(f"{port['direction']} {f'[{len(bits) - 1}:0] ' if len(bits) > 1 else ''}{name}")
        for i, bit in enumerate(bits):
            here = f"{name}[{i}]" if len(bits) > 1 else name
            if isinstance(bit, int):
                nets.add(bit)
            if port["direction"] == "output":
                assigns.append(f"    assign {here} = {expression(bit)};")
            elif port["direction"] == "input" and isinstance(bit, int):
                assigns.append(f"    assign n{bit} = {here};")
            else:
                raise NmforgeError(f"port {name} is neither input nor output; only those have a simulation model")
    return declared, assigns
