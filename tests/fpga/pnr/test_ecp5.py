"""Place and route of the engine: its numbers, its bitstream, its sums after routing, and what does not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories.rtl_problems import images_of

from nmforge.core.compressed_linear import random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.core.reference import accumulate
from nmforge.fpga.images.weight_image import kept_weights
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.pnr import ecp5
from nmforge.fpga.pnr.ecp5 import Design, PlaceSettings, RoutedDesign, bitstream, clock_mhz, engine_design, place
from nmforge.fpga.pnr.netlist_sim import netlist_simulator, write_netlist
from nmforge.fpga.sim.engine import SimulationJob, SimulationSettings, Stalls, run_job

pytestmark = pytest.mark.rtl

ENGINE = Engine(4, 4, 2, 2, 32)


@pytest.fixture(scope="module")
def routed(builds: Path) -> RoutedDesign:
    return place(engine_design(ENGINE), PlaceSettings(), builds)


def wrong_sums(netlist: Path, builds: Path) -> int:
    """Sums of 2:4 layers that differ from the NumPy reference; every sum where the engine stands still."""
    program = netlist_simulator(netlist, ENGINE.top, builds, ["-CFLAGS", "-O0"])
    rng = np.random.default_rng(0)
    linear = random_linear(rng, 7, 320, Pattern(2, 4), 4, 32)
    xq = rng.integers(-127, 128, (5, 320), dtype=np.int8)
    job = SimulationJob.for_engine(ENGINE, kept_weights(linear, ENGINE), 5)
    settings = SimulationSettings(Stalls(30, 20, 40, 10, 50))
    try:
        found = run_job(program, job, images_of(linear, xq, ENGINE), settings)
    except NmforgeError:
        return 35
    return int((found.acc != accumulate(linear, xq)).sum())


def test_routed_netlist_computes_the_reference(routed: RoutedDesign, builds: Path) -> None:
    assert wrong_sums(write_netlist("route", routed.routed, ENGINE.top, builds / "route.v"), builds) == 0


def test_numbers_are_those_of_the_routed_design(routed: RoutedDesign, tmp_path: Path) -> None:
    cells = json.loads(routed.routed.read_text())["modules"]["top"]["cells"].values()
    kinds = [cell["type"] for cell in cells]
    assert (routed.comb, routed.ff) == (kinds.count("TRELLIS_COMB"), kinds.count("TRELLIS_FF"))
    assert (routed.ram, routed.dsp) == (0, 0)
    assert routed.utilisation["TRELLIS_COMB"] == routed.comb / 83640
    assert routed.fmax_mhz == clock_mhz(json.loads(routed.report.read_text()), "aclk") > 0
    size = bitstream(routed, tmp_path / "design.bit")
    data = (tmp_path / "design.bit").read_bytes()
    assert size == len(data)
    assert b"Part: LFE5U-85F-6CABGA756" in data
    assert b"\xff\xff\xbd\xb3" in data  # preamble of an ECP5 bitstream


def test_a_second_call_starts_no_tool(routed: RoutedDesign, builds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a tool was started")

    monkeypatch.setattr(ecp5, "run_wasm", never)
    again = place(engine_design(ENGINE), PlaceSettings(), builds)
    assert again == routed


def test_too_many_pins_and_an_unknown_clock_are_refused(routed: RoutedDesign, builds: Path) -> None:
    (builds / "wide.sv").write_text(
        "module wide #(parameter int N = 9) (input logic aclk, input logic [N-1:0] d, output logic q);\n"
        "    always_ff @(posedge aclk) q <= ^d;\nendmodule\n"
    )
    with pytest.raises(NmforgeError, match=r"wide with N=400 needs 402 pins, and LFE5U-85F in CABGA756 has 352"):
        place(Design("wide", (builds / "wide.sv",), {"N": 400}), PlaceSettings(), builds)
    with pytest.raises(NmforgeError, match=r"no single clock clk in the routed design \(timed clocks: .*aclk"):
        place(replace(routed.design, clock="clk"), PlaceSettings(), builds)


def test_a_design_that_does_not_fit_is_refused_with_what_would(builds: Path) -> None:
    (builds / "big.sv").write_text(
        "module big #(parameter int N = 9) (input logic aclk, input logic [17:0] d, output logic q);\n"
        "    logic [17:0] x [N+1];\n    logic [35:0] product [N];\n    logic [N-1:0] folded;\n"
        "    always_ff @(posedge aclk) begin\n        x[0] <= d;\n        q <= ^folded;\n"
        "        for (int i = 0; i < N; i++) begin\n            x[i+1] <= x[i];\n"
        "            product[i] <= x[i] * x[i+1];\n            folded[i] <= ^product[i];\n        end\n    end\n"
        "endmodule\n"
    )
    with pytest.raises(
        NmforgeError,
        match=r"big with N=160 needs 160 18x18 multipliers, and LFE5U-85F in CABGA756 has 156; build a smaller array, "
        "one that takes at most 156",
    ):
        place(Design("big", (builds / "big.sv",), {"N": 160}, synthesis=()), PlaceSettings(), builds)
