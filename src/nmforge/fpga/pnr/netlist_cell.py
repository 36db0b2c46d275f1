"""A cell of a JSON netlist while it is turned into Verilog.

A converter looks at every parameter and every connected pin of its cell; what it does not know is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nmforge.core.errors import NmforgeError

Bit = int | str  # number of a net, or one of "0", "1", "x", "z"
ANY_GSR = ("DISABLED", "ENABLED", "AUTO")  # the global reset is never used: after configuration it changes nothing


@dataclass
class Cell:
    """One cell while it is turned into Verilog. What nobody asked for is an error in `finish`."""

    name: str
    type: str
    parameters: dict[str, str]
    pins: dict[str, Bit]  # a bit of a vector pin is "DI[0]"; pins without a net are left out
    outputs: set[str]
    low: set[Bit]  # what is 0 at all times
    seen: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, name: str, cell: Mapping[str, Any], low: set[Bit]) -> Cell:
        """From the JSON of Yosys or nextpnr."""
        pins: dict[str, Bit] = {}
        outputs = set()
        for port, bits in cell["connections"].items():
            names = [port] if len(bits) == 1 else [f"{port}[{i}]" for i in range(len(bits))]
            pins.update(zip(names, bits, strict=True))
            if cell["port_directions"][port] == "output":
                outputs.update(names)
        return cls(name, cell["type"], {k: str(v) for k, v in cell["parameters"].items()}, pins, outputs, low)

    def fail(self, what: str) -> NmforgeError:
        """The error for something without a model."""
        return NmforgeError(
            f"cell {self.name} of type {self.type} has {what}, which no simulation model covers; "
            "add it to fpga/pnr/netlist_cells.py and fpga/pnr/cells"
        )

    def text(self, parameter: str, allowed: Sequence[str], default: str) -> str:
        """A parameter that is one of a few words."""
        self.seen.add(parameter)
        value = self.parameters.get(parameter, default).strip()
        if value not in allowed:
            raise self.fail(f"{parameter} = {value!r}")
        return value

    def bits(self, parameter: str, width: int) -> str:
        """A parameter that is a number, as Verilog constant; x bits become 0, as in the bitstream."""
        self.seen.add(parameter)
        value = self.parameters.get(parameter, "0").strip().replace("x", "0")
        if set(value) - {"0", "1"}:
            raise self.fail(f"{parameter} = {value!r}")
        return f"{width}'h{int(value, 2):x}"

    def number(self, parameter: str, default: int) -> int:
        """A parameter that is an integer."""
        self.seen.add(parameter)
        value = self.parameters.get(parameter, f"{default:b}").strip()
        if set(value) - {"0", "1"}:
            raise self.fail(f"{parameter} = {value!r}")
        return int(value, 2)

    def connected(self, pin: str) -> bool:
        """Whether a net or a constant drives the pin."""
        return pin in self.pins

    def pin(self, name: str, floating: str = "1'bx") -> str:
        """Verilog of an input; `floating` is what the hardware sees where nothing is connected."""
        self.seen.add(name)
        return expression(self.pins[name]) if name in self.pins else floating

    def out(self, name: str) -> str:
        """Net of an output, empty where it is open."""
        self.seen.add(name)
        return expression(self.pins[name]) if name in self.pins else ""

    def mux(self, pin: str, floating: str, parameter: str | None = None) -> str:
        """An input after its multiplexer in the fabric: as it is, inverted, or a constant."""
        parameter = parameter or f"{pin}MUX"
        chosen = self.text(parameter, (pin, "INV", "0", "1"), pin)
        value = self.pin(pin, floating)
        return {"INV": f"~{value}", "0": "1'b0", "1": "1'b1"}.get(chosen, value)

    def finish(self) -> None:
        """Raise where a parameter or a connected pin was not looked at."""
        unseen = sorted((self.parameters.keys() | self.pins.keys()) - self.seen)
        if unseen:
            raise self.fail(f"{unseen[0]} in use")


Converter = Callable[[Cell], str]


def expression(bit: Bit) -> str:
    """Verilog of one bit."""
    return f"n{bit}" if isinstance(bit, int) else f"1'b{bit}"


def instance(module: str, parameters: Mapping[str, object], pins: Mapping[str, str]) -> str:
    """Verilog of one instance without its name, which the caller puts in the place of `@`."""
    generics = ", ".join(f".{name}({value})" for name, value in parameters.items())
    ports = ", ".join(f".{name}({value})" for name, value in pins.items())
    return f"{module} {f'#({generics}) ' if generics else ''}@ ({ports});"


def pin_vector(cell: Cell, name: str, width: int, read: Callable[[str], str], pattern: str = "{}[{}]") -> str:
    """Concatenation of the bits of a pin, highest first."""
    return f"{{{', '.join(read(pattern.format(name, i)) for i in reversed(range(width)))}}}"


def open_outputs(cell: Cell, name: str, width: int, pattern: str) -> tuple[str, str]:
    """An output vector whose open bits need nets of their own: the concatenation, and their declaration."""
    bits = [cell.out(pattern.format(name, i)) or f"@_{name}{i}" for i in range(width)]
    unused = [bit for bit in bits if bit.startswith("@")]
    declared = f"wire {', '.join(unused)}; " if unused else ""
    return f"{{{', '.join(reversed(bits))}}}", declared
