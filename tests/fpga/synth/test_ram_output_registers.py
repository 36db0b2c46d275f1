"""Registers move into block RAMs only where the RAM's own register does the same."""

from __future__ import annotations

from typing import Any

import pytest

from nmforge.fpga.synth.ram_output_registers import absorb_output_registers

pytestmark = pytest.mark.rtl

CLOCK, OTHER_CLOCK, RESET = 2, 3, 4


def register(data: int, out: int, **changes: Any) -> dict[str, Any]:
    """A TRELLIS_FF as Yosys writes it; `CE`, `LSR`, `CLK` and parameters can be changed."""
    connections = {"CLK": [CLOCK], "DI": [data], "LSR": ["0"], "Q": [out]}
    parameters = {"CEMUX": "1 ", "CLKMUX": "CLK", "LSRMUX": "LSR", "GSR": "DISABLED", "REGSET": "RESET"}
    for name, value in changes.items():
        (parameters if name in parameters else connections)[name] = value
    directions = {pin: "output" if pin == "Q" else "input" for pin in connections}
    return {
        "type": "TRELLIS_FF", "parameters": parameters, "connections": connections, "port_directions": directions,
    }  # fmt: skip


def design(second: dict[str, Any], outputs: list[int]) -> dict[str, Any]:
    """A RAM whose side B gives nets 10 and 11: a plain register reads the first, `second` the other."""
    connections = {"CLKA": [CLOCK], "CLKB": [CLOCK], "OCEB": ["1"], "DOB0": [10], "DOB1": [11], "DOB2": [12]}
    directions = {pin: "output" if pin.startswith("DO") else "input" for pin in connections}
    parameters = {"REGMODE_A": "NOREG", "REGMODE_B": "NOREG"}
    ram = {"type": "DP16KD", "parameters": parameters, "connections": connections, "port_directions": directions}
    cells = {"ram": ram, "first": register(10, 20), "second": second}
    ports = {"q": {"direction": "output", "bits": outputs}}
    return {"modules": {"top": {"cells": cells, "ports": ports}}}


def test_plain_registers_become_the_rams_own() -> None:
    netlist = design(register(11, 21), [20, 21])
    assert absorb_output_registers(netlist, "top") == 2
    cells = netlist["modules"]["top"]["cells"]
    assert set(cells) == {"ram"}
    assert cells["ram"]["parameters"] == {"REGMODE_A": "NOREG", "REGMODE_B": "OUTREG"}
    assert cells["ram"]["connections"] | {"DOB0": [20], "DOB1": [21]} == cells["ram"]["connections"]


@pytest.mark.parametrize(
    "second",
    [
        register(11, 21, CE=[5], CEMUX="CE"),  # held
        register(11, 21, LSR=[RESET]),  # reset
        register(11, 21, CLK=[OTHER_CLOCK]),
        register(11, 21, CLKMUX="INV"),  # falling edge
        register(11, 21) | {"type": "LUT4"},
    ],
)
def test_a_register_that_does_more_stays_and_keeps_its_side(second: dict[str, Any]) -> None:
    netlist = design(second, [20, 21])
    assert absorb_output_registers(netlist, "top") == 0
    cells = netlist["modules"]["top"]["cells"]
    assert set(cells) == {"ram", "first", "second"}
    assert cells["ram"]["parameters"]["REGMODE_B"] == "NOREG"


def test_an_output_that_is_read_elsewhere_stays() -> None:
    assert absorb_output_registers(design(register(11, 21), [20, 11]), "top") == 0
