"""Block RAM (DP16KD) and multiplier (MULT18X18D) of a JSON netlist -> an instance of our simulation model (cells/)."""

from __future__ import annotations

from collections.abc import Mapping

from nmforge.fpga.pnr.netlist_cell import ANY_GSR, Cell, instance, open_outputs, pin_vector

WRITE_MODES = {"NORMAL": 0, "WRITETHROUGH": 1, "READBEFOREWRITE": 2}


def block_ram(cell: Cell) -> str:
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
        pins[f"AD{port}"] = pin_vector(cell, f"AD{port}", 14, lambda pin: _tied(cell, pin, "0"), "{}{}")
        pins[f"DI{port}"] = pin_vector(cell, f"DI{port}", 18, lambda pin: _tied(cell, pin, "0"), "{}{}")
    parameters["SAME_CLOCK"] = int(pins["CLKA"] == pins["CLKB"])
    parameters["INIT"] = _ram_contents(cell)
    _check_ram_modes(cell, pins)
    vector_a, nets_a = open_outputs(cell, "DOA", 18, "{}{}")
    vector_b, nets_b = open_outputs(cell, "DOB", 18, "{}{}")
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


def multiplier(cell: Cell) -> str:
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
    pins = {name: pin_vector(cell, name, 18, lambda pin: _tied(cell, pin, "0"), "{}{}") for name in "AB"}
    pins |= {name: cell.pin(name, "1'b0") for name in ("SIGNEDA", "SIGNEDB")}
    vector, nets = open_outputs(cell, "P", 36, "{}{}")
    cell.seen.update(pin for pin in cell.outputs if pin.startswith(("RO", "SRO", "SIGNEDP")))
    return nets + instance("MULT18X18D", {}, pins | {"P": vector})


MULTIPLIER_MODES = {
    "SOURCEB_MODE": ("B_SHIFT",), "MULT_BYPASS": ("DISABLED",), "CAS_MATCH_REG": ("FALSE",),
    "HIGHSPEED_CLK": ("NONE",), "RESETMODE": ("SYNC", "ASYNC"),
    **{f"CLK{i}_DIV": ("ENABLED", "DISABLED") for i in range(4)},
}  # fmt: skip
