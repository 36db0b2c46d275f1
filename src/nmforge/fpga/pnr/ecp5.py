"""Place and route on an ECP5: Yosys, nextpnr and ecppack from their wheels, for any top module.

The part is an LFE5U-85F in its slowest speed grade. The faster LFE5UM5G-85F has the same fabric, but no grade below 8.
Every stream is on neighbouring pins (`pins.py`); the clock that comes out is that of paths between registers, not of
paths to pins.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nmforge.core.errors import NmforgeError
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.pnr.pins import constraints
from nmforge.fpga.sources import rtl_sources
from nmforge.fpga.synth import ram_output_registers
from nmforge.fpga.synth.families.ecp5 import ECP5
from nmforge.fpga.synth.ram_output_registers import absorb_output_registers
from nmforge.fpga.synth.yowasp import TOOLS, read_design, run_wasm

PART, PART_FLAG, PACKAGE = "LFE5U-85F", "--85k", "CABGA756"
SPEED_GRADE = 6  # the slowest of 6, 7 and 8
TARGET_MHZ = 100  # measured: 100, 200 and 300 MHz give the same placement
TIMING_WEIGHT = 40  # of the placer, 10 if not given; measured on an 8x8 device: 127 MHz with 10, 169 MHz with 40
SYNTHESIS = ("-nodsp",)  # measured: -nowidelut gives a slower clock in the same area, -abc9 is always on
RESOURCES = {
    "TRELLIS_IO": "pins", "TRELLIS_COMB": "LUTs", "TRELLIS_FF": "flip-flops", "DP16KD": "block RAMs",
    "MULT18X18D": "18x18 multipliers", "TRELLIS_RAMW": "LUT RAM write ports", "DCCA": "clock buffers",
}  # fmt: skip
ROUTED, CONFIG, REPORT = "routed.json", "design.config", "report.json"


@dataclass(frozen=True)
class Design:
    """What is placed and routed: a top module, its sources in order and its parameters.

    clock: the port whose post-route clock counts. synthesis: options of synth_ecp5. techmap: Verilog that gives ECP5
    cells for modules of the design; these stay black boxes until then, so that nothing optimizes across them.
    """

    top: str
    sources: tuple[Path, ...]
    parameters: Mapping[str, int] = field(default_factory=dict)
    clock: str = "aclk"
    synthesis: tuple[str, ...] = SYNTHESIS
    techmap: Path | None = None

    def __str__(self) -> str:
        """Its name in an error."""
        values = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.top} with {values}" if values else self.top


@dataclass(frozen=True)
class PlaceSettings:
    """How a design is placed: the placer's seed, the clock in MHz it aims at, and the speed grade of the part."""

    seed: int = 1
    target_mhz: float = TARGET_MHZ
    speed_grade: int = SPEED_GRADE


@dataclass(frozen=True)
class RoutedDesign:
    """A placed and routed design: post-route clock, what it takes of the part, and the files of nextpnr.

    comb counts LUT positions (logic, carry and LUT RAM), ram DP16KD, dsp MULT18X18D; utilisation is 0..1 by cell type.
    """

    design: Design
    settings: PlaceSettings
    fmax_mhz: float
    comb: int
    ff: int
    ram: int
    dsp: int
    utilisation: dict[str, float]
    synthesized: Path  # Yosys JSON
    folder: Path  # of nextpnr's files

    @property
    def routed(self) -> Path:
        """The netlist after routing, nextpnr's JSON."""
        return self.folder / ROUTED

    @property
    def config(self) -> Path:
        """Trellis text configuration."""
        return self.folder / CONFIG

    @property
    def report(self) -> Path:
        """nextpnr's own report."""
        return self.folder / REPORT


def engine_design(engine: Engine) -> Design:
    """The project's RTL as the engine's parameters make it, with the ECP5 cells that suit it."""
    return Design(engine.top, tuple(rtl_sources()), engine.parameters, techmap=ECP5.techmap)


def place(design: Design, settings: PlaceSettings, build_dir: Path) -> RoutedDesign:
    """Synthesize, place and route one design with one seed; both steps are found again in `build_dir`.

    Raises NmforgeError where the design does not fit or a tool fails.
    """
    netlist = synthesize_netlist(design, build_dir)
    ports = json.loads(netlist.read_text())["modules"][design.top]["ports"]
    located = constraints(str(design), ports, design.clock, PART, PACKAGE)
    how = [settings.seed, settings.target_mhz, settings.speed_grade, version(TOOLS["nextpnr"])]
    folder = build_dir / f"route-{_digest([netlist], [netlist.name, located, TIMING_WEIGHT, *how])}"
    if not folder.exists():
        _route(design, netlist, located, settings, folder)
    report = json.loads((folder / REPORT).read_text())
    used = {cell: int(count["used"]) for cell, count in report["utilization"].items()}
    shares = {cell: count["used"] / count["available"] for cell, count in report["utilization"].items()}
    return RoutedDesign(
        design, settings, clock_mhz(report, design.clock), used["TRELLIS_COMB"], used["TRELLIS_FF"], used["DP16KD"],
        used["MULT18X18D"], shares, netlist, folder,
    )  # fmt: skip


def synthesize_netlist(design: Design, build_dir: Path) -> Path:
    """Yosys JSON of a design in ECP5 cells; made once per sources, parameters and options."""
    files = [*design.sources, *([design.techmap] if design.techmap else [])]
    words = [design.top, sorted(design.parameters.items()), list(design.synthesis), version(TOOLS["yosys"])]
    key = _digest([*files, Path(ram_output_registers.__file__)], words)
    netlist = build_dir / f"synthesis-{key}.json"
    if netlist.exists():
        return netlist
    build_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="synthesize-", dir=build_dir) as name:
        folder = Path(name)
        read = read_design(design.top, design.sources, design.parameters, design.techmap, folder)
        synth = f"synth_ecp5 {' '.join(design.synthesis)} -top {design.top} -json netlist.json"
        run_wasm("yosys", ["-q", "-p", f"{read}; {synth}"], folder)
        written = folder / "netlist.json"
        mapped_netlist = json.loads(written.read_text())
        if absorb_output_registers(mapped_netlist, design.top):
            written.write_text(json.dumps(mapped_netlist))
        written.replace(netlist)
    return netlist


def bitstream(routed: RoutedDesign, out: Path) -> int:
    """Write the bitstream of a routed design; returns its bytes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bitstream-", dir=out.parent) as name:
        folder = Path(name)
        shutil.copy(routed.config, folder / CONFIG)
        run_wasm("ecppack", ["--input", CONFIG, "--bit", "design.bit"], folder)
        (folder / "design.bit").replace(out)
    return out.stat().st_size


def clock_mhz(report: Mapping[str, Any], clock: str) -> float:
    """Post-route clock of one port from nextpnr's report; raises NmforgeError where no path is timed by it."""
    found = [row["achieved"] for net, row in report["fmax"].items() if clock in net.split("$")]
    if len(found) != 1:
        known = ", ".join(report["fmax"]) or "none"
        raise NmforgeError(f"no single clock {clock} in the routed design (timed clocks: {known}); name its clock port")
    return float(found[0])


def _route(design: Design, netlist: Path, located: str, settings: PlaceSettings, target: Path) -> None:
    """Fill the folder `target`, which appears only once it is complete. located: lines of an LPF file."""
    with tempfile.TemporaryDirectory(prefix="route-", dir=target.parent) as name:
        folder = Path(name)
        shutil.copy(netlist, folder / "netlist.json")
        (folder / "pins.lpf").write_text(located)
        try:
            run_wasm("nextpnr", [
                "-q", "--log", "nextpnr.log", PART_FLAG, "--package", PACKAGE, "--speed", str(settings.speed_grade),
                "--json", "netlist.json", "--top", design.top, "--seed", str(settings.seed),
                "--freq", str(settings.target_mhz), "--lpf", "pins.lpf", "--lpf-allow-unconstrained",
                "--placer-heap-timingweight", str(TIMING_WEIGHT), "--timing-allow-fail",
                "--write", ROUTED, "--textcfg", CONFIG, "--report", REPORT,
            ], folder)  # fmt: skip
        except NmforgeError:
            log = folder / "nextpnr.log"
            _check_size(design, log.read_text() if log.exists() else "")
            raise
        (folder / "netlist.json").unlink()
        complete = target.with_name(folder.name + ".complete")
        folder.rename(complete)
        folder.mkdir()  # for the context manager, which removes it
    if not target.exists():
        os.rename(complete, target)
    else:
        shutil.rmtree(complete)


def _check_size(design: Design, log: str) -> None:
    """Raise the sentence for a design that is too large, from the utilisation nextpnr printed before it stopped."""
    for cell, used, available in re.findall(r"(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", log):
        if int(used) > int(available):
            raise NmforgeError(
                f"{design} needs {used} {RESOURCES.get(cell, cell)}, and {PART} in {PACKAGE} has {available}; "
                f"build a smaller array, one that takes at most {available}"
            )


def _digest(files: Sequence[Path], words: Sequence[object]) -> str:
    """Hash of names and contents of files, and of everything else a result depends on."""
    digest = hashlib.sha256(repr([*words, PART, PACKAGE]).encode())
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]
