"""One ECP5 cell of a JSON netlist -> one instance of our simulation model of it (cells/), or a wire."""

from __future__ import annotations

from typing import Literal

from nmforge.fpga.pnr.hard_cells import block_ram, multiplier
from nmforge.fpga.pnr.netlist_cell import ANY_GSR, Cell, Converter, instance, open_outputs, pin_vector

Stage = Literal["synthesis", "route"]

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


def _lut_ram(cell: Cell) -> str:
    pins = {"WCK": cell.mux("WCK", "1'b0"), "WRE": cell.mux("WRE", "1'b0")}
    pins |= {name: pin_vector(cell, name, 4, cell.pin) for name in ("WAD", "DI", "RAD")}
    vector, nets = open_outputs(cell, "DO", 4, "{}[{}]")
    return nets + instance("TRELLIS_DPR16X4", {"INITVAL": cell.bits("INITVAL", 64)}, pins | {"DO": vector})


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
    """The multiplexer after a LUT: PFUMX on its own LUT and its neighbour's, or L6MUX21 on two such."""
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
        "TRELLIS_DPR16X4": _lut_ram, "DP16KD": block_ram, "MULT18X18D": multiplier,
    },
    "route": {
        "TRELLIS_COMB": _slice, "TRELLIS_RAMW": _write_port, "TRELLIS_FF": _routed_flip_flop, "TRELLIS_IO": _io_pin,
        "DCCA": _clock_buffer, "DP16KD": block_ram, "MULT18X18D": multiplier,
    },
}  # fmt: skip
