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
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nmforge.core.errors import NmforgeError
from nmforge.fpga.pnr.pins import constraints
from nmforge.fpga.synth import ram_output_registers as ram_registers
from nmforge.fpga.synth.ram_output_registers import absorb_output_registers
from nmforge.fpga.synth.yowasp import TOOLS, read_design, run_wasm

DEVICE, DEVICE_FLAG, PACKAGE = "LFE5U-85F", "--85k", "CABGA756"
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
class Placed:
    """A placed and routed design: post-route clock, what it takes of the device, and the files nextpnr left.

    comb counts LUT positions (logic, carry and LUT RAM), ram DP16KD, dsp MULT18X18D; utilisation is 0..1 by cell type.
    """

    top: str
    seed: int
    fmax_mhz: float
    comb: int
    ff: int
    ram: int
    dsp: int
    utilisation: dict[str, float]
    device: str
    speed_grade: int
    target_mhz: float
    nextpnr_version: str
    synthesized: Path  # Yosys JSON
    routed: Path  # nextpnr JSON after routing
    config: Path  # Trellis text configuration
    report: Path


def place(
    top: str,
    sources: Sequence[Path],
    parameters: Mapping[str, int],
    seed: int,
    build_dir: Path,
    *,
    clock: str = "aclk",
    target_mhz: float = TARGET_MHZ,
    speed_grade: int = SPEED_GRADE,
    synthesis: Sequence[str] = SYNTHESIS,
    techmap: Path | None = None,
) -> Placed:
    """Synthesize, place and route one design with one seed; both steps are found again in `build_dir`.

    `clock` is the port whose post-route clock counts, `target_mhz` what the placer aims at. `techmap` gives ECP5
    cells for modules of the design. Raises NmforgeError where the design does not fit or a tool fails.
    """
    netlist = synthesize_netlist(top, sources, parameters, build_dir, synthesis, techmap)
    ports = json.loads(netlist.read_text())["modules"][top]["ports"]
    name = f"{top} with {', '.join(f'{name}={value}' for name, value in parameters.items())}".removesuffix(" with ")
    located = constraints(name, ports, clock, DEVICE, PACKAGE)
    key = _digest(
        [netlist], [netlist.name, located, TIMING_WEIGHT, seed, target_mhz, speed_grade, version(TOOLS["nextpnr"])]
    )
    folder = build_dir / f"route-{key}"
    if not folder.exists():
        _route(name, top, netlist, located, seed, target_mhz, speed_grade, folder)
    report = json.loads((folder / REPORT).read_text())
    used = {cell: int(count["used"]) for cell, count in report["utilization"].items()}
    return Placed(
        top, seed, clock_mhz(report, clock), used["TRELLIS_COMB"], used["TRELLIS_FF"], used["DP16KD"],
        used["MULT18X18D"], {cell: c["used"] / c["available"] for cell, c in report["utilization"].items()},
        DEVICE, speed_grade, target_mhz, version(TOOLS["nextpnr"]),
        netlist, folder / ROUTED, folder / CONFIG, folder / REPORT,
    )  # fmt: skip


def synthesize_netlist(
    top: str,
    sources: Sequence[Path],
    parameters: Mapping[str, int],
    build_dir: Path,
    synthesis: Sequence[str] = SYNTHESIS,
    techmap: Path | None = None,
) -> Path:
    """Yosys JSON of a design in ECP5 cells; made once per sources, parameters and options.

    Modules that `techmap` defines stay black boxes until its cells take their place, so that nothing optimizes
    across them.
    """
    files = [*sources, *([techmap] if techmap else [])]
    words = [top, sorted(parameters.items()), list(synthesis), version(TOOLS["yosys"])]
    key = _digest([*files, Path(ram_registers.__file__)], words)
    netlist = build_dir / f"synthesis-{key}.json"
    if netlist.exists():
        return netlist
    build_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="synthesize-", dir=build_dir) as name:
        folder = Path(name)
        synth = f"synth_ecp5 {' '.join(synthesis)} -top {top} -json netlist.json"
        run_wasm("yosys", ["-q", "-p", f"{read_design(top, sources, parameters, techmap, folder)}; {synth}"], folder)
        written = folder / "netlist.json"
        mapped_netlist = json.loads(written.read_text())
        if absorb_output_registers(mapped_netlist, top):
            written.write_text(json.dumps(mapped_netlist))
        written.replace(netlist)
    return netlist


def bitstream(placed: Placed, out: Path) -> int:
    """Write the bitstream of a routed design; returns its bytes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bitstream-", dir=out.parent) as name:
        folder = Path(name)
        shutil.copy(placed.config, folder / CONFIG)
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


def _route(
    design: str, top: str, netlist: Path, located: str, seed: int, target_mhz: float, speed_grade: int, target: Path
) -> None:
    """Fill the folder `target`, which appears only once it is complete. located: lines of an LPF file."""
    with tempfile.TemporaryDirectory(prefix="route-", dir=target.parent) as name:
        folder = Path(name)
        shutil.copy(netlist, folder / "netlist.json")
        (folder / "pins.lpf").write_text(located)
        try:
            run_wasm("nextpnr", [
                "-q", "--log", "nextpnr.log", DEVICE_FLAG, "--package", PACKAGE, "--speed", str(speed_grade),
                "--json", "netlist.json", "--top", top, "--seed", str(seed), "--freq", str(target_mhz),
                "--lpf", "pins.lpf", "--lpf-allow-unconstrained",
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


def _check_size(design: str, log: str) -> None:
    """Raise the sentence for a design that is too large, from the utilisation nextpnr printed before it stopped."""
    for cell, used, available in re.findall(r"(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", log):
        if int(used) > int(available):
            raise NmforgeError(
                f"{design} needs {used} {RESOURCES.get(cell, cell)}, and {DEVICE} in {PACKAGE} has {available}; "
                f"build a smaller array, one that takes at most {available}"
            )


def _digest(files: Sequence[Path], words: Sequence[object]) -> str:
    """Hash of names and contents of files, and of everything else a result depends on."""
    digest = hashlib.sha256(repr([*words, DEVICE, PACKAGE]).encode())
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]
