"""One ECP5 cell of a JSON netlist -> one instance of our simulation model of it (cells/), or a wire.

Each converter looks at every parameter and every connected pin of its cell; what it does not know is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nmforge.core.errors import NmforgeError

Stage = Literal["synthesis", "route"]
Bit = int | str  # number of a net, or one of "0", "1", "x", "z"
WRITE_MODES = {"NORMAL": 0, "WRITETHROUGH": 1, "READBEFOREWRITE": 2}
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
            "add it to fpga/netlist_cells.py and fpga/cells"
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
        """An input behind a multiplexer of the fabric: as it is, inverted, or a constant."""
        parameter = parameter or f"{pin}MUX"
        chosen = self.text(parameter, (pin, "INV", "0", "1"), pin)
        value = self.pin(pin, floating)
        return {"INV": f"~{value}", "0": "1'b0", "1": "1'b1"}.get(chosen, value)

    def finish(self) -> None:
        """Raise where a parameter or a connected pin was not looked at."""
        left = sorted((self.parameters.keys() | self.pins.keys()) - self.seen)
        if left:
            raise self.fail(f"{left[0]} in use")


Converter = Callable[[Cell], str]


def expression(bit: Bit) -> str:
    """Verilog of one bit."""
    return f"n{bit}" if isinstance(bit, int) else f"1'b{bit}"


def instance(module: str, parameters: Mapping[str, object], pins: Mapping[str, str]) -> str:
    """Verilog of one instance without its name, which the caller puts in the place of `@`."""
    generics = ", ".join(f".{name}({value})" for name, value in parameters.items())
    ports = ", ".join(f".{name}({value})" for name, value in pins.items())
    return f"{module} {f'#({generics}) ' if generics else ''}@ ({ports});"


# ---- cells after synthesis, and those that placing leaves as they are ----


def _lut4(cell: Cell) -> str:
    pins = {pin: cell.pin(pin) for pin in "ABCD"} | {"Z": cell.out("Z")}
    return instance("LUT4", {"INIT": cell.bits("INIT", 16)}, pins)


def _pfumx(cell: Cell) -> str:
    pins = {pin: cell.pin(pin) for pin in ("ALUT", "BLUT", "C0")} | {"Z": cell.out("Z")}
    return instance("PFUMX", {}, pins)


def _l6mux(cell: Cell) -> str:
    pins = {pin: cell.pin(pin) for pin in ("D0", "D1", "SD")} | {"Z": cell.out("Z")}
    return instance("L6MUX21", {}, pins)


def _inject(cell: Cell, parameter: str, default: str) -> int:
    """1 where the carry is cut off from this bit."""
    return int(cell.text(parameter, ("YES", "NO"), default) == "YES")


def _ccu2c(cell: Cell) -> str:
    inputs = ("CIN", "A0", "B0", "C0", "D0", "A1", "B1", "C1", "D1")
    parameters = {
        "INIT0": cell.bits("INIT0", 16), "INIT1": cell.bits("INIT1", 16),
        "INJECT1_0": _inject(cell, "INJECT1_0", "YES"), "INJECT1_1": _inject(cell, "INJECT1_1", "YES"),
    }  # fmt: skip
    pins = {pin: cell.pin(pin, "1'b1") for pin in inputs} | {pin: cell.out(pin) for pin in ("S0", "S1", "COUT")}
    return instance("CCU2C", parameters, pins)


def _flip_flop(cell: Cell, data: str) -> str:
    cell.text("GSR", ANY_GSR, "ENABLED")
    cell.text("LSRMODE", ("LSR",), "LSR")
    parameters = {
        "SET": int(cell.text("REGSET", ("SET", "RESET"), "RESET") == "SET"),
        "ASYNC": int(cell.text("SRMODE", ("ASYNC", "LSR_OVER_CE"), "LSR_OVER_CE") == "ASYNC"),
    }
    lsr = cell.mux("LSR", "1'b0") if cell.connected("LSR") else "1'b0"  # without a net it is off, inverted or not
    cell.seen.add("LSRMUX")
    pins = {"CLK": cell.mux("CLK", "1'b0"), "CE": cell.mux("CE", "1'b1"), "LSR": lsr, "D": data, "Q": cell.out("Q")}
    return instance("TRELLIS_FF", parameters, pins)


def _synthesized_flip_flop(cell: Cell) -> str:
    return _flip_flop(cell, cell.pin("DI"))


def _vector(cell: Cell, name: str, width: int, read: Callable[[str], str], pattern: str = "{}[{}]") -> str:
    """Concatenation of the bits of a pin, highest first."""
    return f"{{{', '.join(read(pattern.format(name, i)) for i in reversed(range(width)))}}}"


def _lut_ram(cell: Cell) -> str:
    pins = {"WCK": cell.mux("WCK", "1'b0"), "WRE": cell.mux("WRE", "1'b0")}
    pins |= {name: _vector(cell, name, 4, cell.pin) for name in ("WAD", "DI", "RAD")}
    vector, nets = _open_outputs(cell, "DO", 4, "{}[{}]")
    return nets + instance("TRELLIS_DPR16X4", {"INITVAL": cell.bits("INITVAL", 64)}, pins | {"DO": vector})


def _open_outputs(cell: Cell, name: str, width: int, pattern: str) -> tuple[str, str]:
    """An output vector whose open bits need nets of their own: the concatenation, and their declaration."""
    bits = [cell.out(pattern.format(name, i)) or f"@_{name}{i}" for i in range(width)]
    unused = [bit for bit in bits if bit.startswith("@")]
    declared = f"wire {', '.join(unused)}; " if unused else ""
    return f"{{{', '.join(reversed(bits))}}}", declared


def _block_ram(cell: Cell) -> str:
    parameters: dict[str, object] = {}
    pins: dict[str, str] = {}
    for port in "AB":
        parameters[f"WIDTH_{port}"] = _ram_width(cell, port)
        parameters[f"WRITEMODE_{port}"] = WRITE_MODES[cell.text(f"WRITEMODE_{port}", tuple(WRITE_MODES), "NORMAL")]
        register = cell.text(f"REGMODE_{port}", ("NOREG", "OUTREG"), "NOREG")
        parameters[f"OUTREG_{port}"] = int(register == "OUTREG")
        cell.text(f"CSDECODE_{port}", ("0b000",), "0b000")
        for i in range(3):
            if _tied(cell, f"CS{port}{i}", "0") != "1'b0":
                raise cell.fail(f"pin CS{port}{i} in use")
        for pin, floating in (("CLK", "0"), ("WE", "0"), ("RST", "0"), ("CE", "1"), ("OCE", "1")):
            pins[f"{pin}{port}"] = _tied(cell, f"{pin}{port}", floating)
        pins[f"AD{port}"] = _vector(cell, f"AD{port}", 14, lambda pin: _tied(cell, pin, "0"), "{}{}")
        pins[f"DI{port}"] = _vector(cell, f"DI{port}", 18, lambda pin: _tied(cell, pin, "0"), "{}{}")
    parameters["SAME_CLOCK"] = int(pins["CLKA"] == pins["CLKB"])
    parameters["INIT"] = _ram_contents(cell)
    _check_ram_modes(cell, pins)
    vector_a, nets_a = _open_outputs(cell, "DOA", 18, "{}{}")
    vector_b, nets_b = _open_outputs(cell, "DOB", 18, "{}{}")
    return nets_a + nets_b + instance("DP16KD", parameters, pins | {"DOA": vector_a, "DOB": vector_b})


def _tied(cell: Cell, pin: str, floating: str) -> str:
    """Input of a block RAM. Without a net, its multiplexer tells the constant: the pin's own name is 1, INV is 0."""
    if cell.connected(pin):
        return cell.mux(pin, "1'bx")
    chosen = cell.text(f"{pin}MUX", (pin, "INV", "0", "1"), floating)
    return f"1'b{ {pin: '1', 'INV': '0'}.get(chosen, chosen) }".replace(" ", "")


def _ram_width(cell: Cell, port: str) -> int:
    width = cell.number(f"DATA_WIDTH_{port}", 18)
    if width not in (1, 2, 4, 9, 18, 36):
        raise cell.fail(f"DATA_WIDTH_{port} = {width}")
    return width


def _ram_contents(cell: Cell) -> str:
    """The 64 parameters INITVAL_00 .. 3F, 16 words of 18 bits in each at every 20th bit, as one constant."""
    contents = 0
    for i in range(64):
        part = int(cell.bits(f"INITVAL_{i:02X}", 320).split("h")[1], 16)
        for word in range(16):
            contents |= (part >> 20 * word & 0x3FFFF) << 18 * (16 * i + word)
    return f"18432'h{contents:x}"


def _check_ram_modes(cell: Cell, pins: Mapping[str, str]) -> None:
    """Asynchronous reset has no model; where no reset is connected its mode means nothing."""
    mode = cell.text("RESETMODE", ("SYNC", "ASYNC"), "SYNC")
    if mode == "ASYNC" and (pins["RSTA"], pins["RSTB"]) != ("1'b0", "1'b0"):
        raise cell.fail("RESETMODE = 'ASYNC'")
    cell.text("ASYNC_RESET_RELEASE", ("SYNC", "ASYNC"), "SYNC")
    cell.text("INIT_DATA", ("STATIC",), "STATIC")
    cell.text("GSR", ANY_GSR, "AUTO")
    cell.seen.add("WID")


def _multiplier(cell: Cell) -> str:
    for register in ("INPUTA", "INPUTB", "INPUTC", "PIPELINE", "OUTPUT"):
        cell.text(f"REG_{register}_CLK", ("NONE",), "NONE")
        cell.seen.update((f"REG_{register}_CE", f"REG_{register}_RST"))  # nothing is clocked
    for parameter, modes in MULTIPLIER_MODES.items():
        cell.text(parameter, modes, modes[0])
    cell.text("GSR", ANY_GSR, "ENABLED")
    unused = ("SOURCEA", "SOURCEB", *(f"{pin}{i}" for pin in ("CLK", "CE", "RST") for i in range(4)))
    for pin in (*unused, *(f"{pin}{i}" for pin in ("C", "SRIA", "SRIB") for i in range(18))):
        value = _tied(cell, pin, "0")
        if value != "1'b0" and (value.startswith("~") or cell.pins.get(pin) not in cell.low):
            raise cell.fail(f"pin {pin} in use")
    pins = {name: _vector(cell, name, 18, lambda pin: _tied(cell, pin, "0"), "{}{}") for name in "AB"}
    pins |= {name: cell.pin(name, "1'b0") for name in ("SIGNEDA", "SIGNEDB")}
    vector, nets = _open_outputs(cell, "P", 36, "{}{}")
    cell.seen.update(pin for pin in cell.outputs if pin.startswith(("RO", "SRO", "SIGNEDP")))
    return nets + instance("MULT18X18D", {}, pins | {"P": vector})


MULTIPLIER_MODES = {
    "SOURCEB_MODE": ("B_SHIFT",), "MULT_BYPASS": ("DISABLED",), "CAS_MATCH_REG": ("FALSE",),
    "HIGHSPEED_CLK": ("NONE",), "RESETMODE": ("SYNC", "ASYNC"),
    **{f"CLK{i}_DIV": ("ENABLED", "DISABLED") for i in range(4)},
}  # fmt: skip


# ---- cells after routing ----


def _slice(cell: Cell) -> str:
    """TRELLIS_COMB: a LUT with its multiplexer, a carry bit, a LUT of LUT RAM, or one given up to a write port."""
    mode = cell.text("MODE", ("LOGIC", "CCU2", "DPRAM", "RAMW_BLOCK"), "LOGIC")
    if mode == "RAMW_BLOCK":
        cell.seen.update(cell.parameters)
        return ""
    init = cell.bits("INITVAL", 16)
    inputs = {pin: cell.pin(pin, "1'b1") for pin in "ABCD"}  # an input without a net is high
    inject = _inject(cell, "CCU2_INJECT1", "NO")
    if mode == "DPRAM":
        write = {pin: cell.pin(pin) for pin in ("WD", "WAD0", "WAD1", "WAD2", "WAD3")}
        write |= {"WCK": cell.mux("WCK", "1'b0"), "WRE": cell.mux("WRE", "1'b0")}
        return instance("DPRAM", {"INIT": init}, inputs | write | {"F": cell.out("F")})
    cell.text("WREMUX", ("WRE",), "WRE")
    if mode == "CCU2":
        carry = {"CIN": cell.pin("FCI", "1'b0"), "S": cell.out("F"), "COUT": cell.out("FCO")}
        return instance("CARRY", {"INIT": init, "INJECT": inject}, inputs | carry)
    return instance("LUT4", {"INIT": init}, inputs | {"Z": cell.out("F")}) + _slice_mux(cell)


def _slice_mux(cell: Cell) -> str:
    """The multiplexer behind a LUT: PFUMX on its own LUT and its neighbour's, or L6MUX21 on two such."""
    if not cell.connected("OFX"):
        return ""
    if cell.connected("F1"):
        pins = {"ALUT": cell.pin("F1"), "BLUT": cell.out("F"), "C0": cell.pin("M"), "Z": cell.out("OFX")}
        return " " + instance("PFUMX", {}, pins).replace("@", "@_mux")
    pins = {"D0": cell.pin("FXA"), "D1": cell.pin("FXB"), "SD": cell.pin("M"), "Z": cell.out("OFX")}
    return " " + instance("L6MUX21", {}, pins).replace("@", "@_mux")


def _write_port(cell: Cell) -> str:
    pins = {f"{pin}{i}": cell.pin(f"{pin}{i}") for i in range(2) for pin in "ABCD"}
    pins |= {f"{pin}{i}": cell.out(f"{pin}{i}") for i in range(4) for pin in ("WADO", "WDO")}
    return instance("TRELLIS_RAMW", {}, pins)


def _routed_flip_flop(cell: Cell) -> str:
    from_lut = cell.text("SD", ("0", "1"), "0") == "1"
    return _flip_flop(cell, cell.pin("DI" if from_lut else "M"))


def _io_pin(cell: Cell) -> str:
    """A pin without registers is a wire between its pad B and the fabric."""
    direction = cell.text("DIR", ("INPUT", "OUTPUT"), "INPUT")
    for path in ("DATAMUX_ODDR", "DATAMUX_MDDR"):
        cell.text(path, ("PADDO",), "PADDO")
    if direction == "OUTPUT":
        return f"assign {cell.pin('B')} = {cell.pin('I')};"
    return f"assign {cell.out('O')} = {cell.pin('B')};" if cell.connected("O") else cell.out("B") and ""


def _clock_buffer(cell: Cell) -> str:
    return f"assign {cell.out('CLKO')} = {cell.pin('CLKI')};"


CONVERTERS: dict[Stage, dict[str, Converter]] = {
    "synthesis": {
        "LUT4": _lut4, "PFUMX": _pfumx, "L6MUX21": _l6mux, "CCU2C": _ccu2c, "TRELLIS_FF": _synthesized_flip_flop,
        "TRELLIS_DPR16X4": _lut_ram, "DP16KD": _block_ram, "MULT18X18D": _multiplier,
    },
    "route": {
        "TRELLIS_COMB": _slice, "TRELLIS_RAMW": _write_port, "TRELLIS_FF": _routed_flip_flop, "TRELLIS_IO": _io_pin,
        "DCCA": _clock_buffer, "DP16KD": _block_ram, "MULT18X18D": _multiplier,
    },
}  # fmt: skip
