"""The files of one build for other tools: a top module with its parameters fixed, and the RTL it stands on.

OUT/nmforge_top.sv   ports of the engine, every parameter a number; instantiates the engine
OUT/rtl/*.sv         the accelerator's sources as they are
OUT/sources.f        all of them in order, relative to OUT: verilator -F OUT/sources.f, slang -F OUT/sources.f
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from nmforge.artifact.header import read_header
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.fpga.model.cycles import steps_per_tile
from nmforge.fpga.model.engine import PREFERRED_GROUP, Engine, Kind, engine_group
from nmforge.fpga.sources import rtl_source, rtl_sources
from nmforge.io.files import write_atomically

TOP = "nmforge_top"
DEFAULT_BITS = 4
HEAD = re.compile(r"^module (\w+) #\(\n(?P<parameters>.*?)^\) \(\n(?P<ports>.*?)^\);", re.DOTALL | re.MULTILINE)
PARAMETER = re.compile(r"^ *(?P<kind>parameter|localparam) +int (?P<name>\w+) *= (?P<value>.*?),? *(?P<note>//.*)?$")


def write_build(engine: Engine, out: Path) -> list[Path]:
    """Write the files of one engine below the folder `out`; returns them, the top first."""
    top, listing = out / f"{TOP}.sv", out / "sources.f"
    copies = [out / "rtl" / path.name for path in rtl_sources()]
    for source, copy in zip(rtl_sources(), copies, strict=True):
        write_atomically(copy, partial(shutil.copyfile, source))
    write_atomically(top, lambda temporary: temporary.write_text(top_module(engine)))
    names = "".join(f"{path.relative_to(out)}\n" for path in [*copies, top])
    write_atomically(listing, lambda temporary: temporary.write_text(names))
    return [top, listing, *copies]


def top_module(engine: Engine) -> str:
    """SystemVerilog of the module `nmforge_top`: the engine's ports, its parameters fixed."""
    head = HEAD.search(rtl_source(engine.top).read_text())
    if head is None:
        raise ValueError(f"{engine.top}.sv has no head of parameters and ports")
    found = [match for line in head["parameters"].splitlines() if (match := PARAMETER.match(line))]
    names = [match["name"] for match in found if match["kind"] == "parameter"]
    if missing := set(engine.parameters) - set(names):
        raise ValueError(f"{engine.top}.sv has no parameter {missing.pop()}")
    constants = ",\n".join(_constants(found, head["ports"], engine.parameters))
    settings = ",\n".join(f"        .{name}({name})" for name in names)
    return (
        f"// {engine.top} with its parameters fixed; written by nmforge fpga generate.\n"
        f"module {TOP} #(\n{constants}\n) (\n{head['ports']});\n"
        f"    {engine.top} #(\n{settings}\n    ) engine (.*);\nendmodule\n"
    )


def _constants(found: list[re.Match[str]], ports: str, values: Mapping[str, int]) -> list[str]:
    """Declarations of the parameters, fixed, and of what is derived from them and named by a port."""
    declared: list[str] = []
    for match in reversed(found):  # what is derived stands after what it is derived from
        name = match["name"]
        if match["kind"] == "parameter" or re.search(rf"\b{name}\b", "".join([ports, *declared])):
            declared.insert(0, f"    localparam int {name} = {values.get(name, match['value'])}")
    return declared


def engine_of_artifact(
    artifact: Path, kind: Kind, rows: int, cols: int, lanes: int = 1, window: int | None = None
) -> Engine:
    """The engine for every compressed layer of an artifact; `window` asks for wider windows than the layers'.

    The banks of a device hold the steps of the deepest layer.
    Raises NmforgeError where the artifact has no compressed layer, or one engine does not do for all of them.
    """
    layers = read_header(artifact)["layers"]
    if not layers:
        raise NmforgeError(f"{artifact} has no compressed layers, only bf16; name a compressed artifact")
    patterns = {name: Pattern.parse(layer["pattern"]) for name, layer in layers.items()}
    window = window or max(pattern.window for pattern in patterns.values())
    group = math.gcd(*(engine_group(layer["group_size"], Pattern(1, window)) for layer in layers.values()))
    engine = Engine(window, max(layer["bits"] for layer in layers.values()), rows, cols, group, lanes, kind)
    deepest = engine.depth
    for name, pattern in patterns.items():
        try:
            deepest = max(deepest, steps_per_tile(layers[name]["k"], engine, pattern))
        except NmforgeError as error:
            raise NmforgeError(f"{artifact}, layer {name}: {error}") from error
    return replace(engine, depth=1 << (deepest - 1).bit_length())


def engine_of_settings(kind: Kind, window: int, rows: int, cols: int, lanes: int = 1) -> Engine:
    """The INT4 engine for windows of `window` in groups of 64, when no artifact says otherwise."""
    return Engine(window, DEFAULT_BITS, rows, cols, PREFERRED_GROUP, lanes, kind)
