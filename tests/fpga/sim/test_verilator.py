"""Builds of simulators: where they are made, and what they are made with."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from nmforge.core.errors import NmforgeError
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.sim import verilator
from nmforge.fpga.sim.protocol import DEVICE_JOB, RECORDS, Status, protocol_header
from nmforge.fpga.sim.verilator import Watch, build_simulator
from nmforge.fpga.sources import require

pytestmark = pytest.mark.rtl


def test_verilator_works_in_a_folder_of_its_own_and_finds_sources_named_from_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "build").mkdir()
    asked: list[str] = []

    def verilate(arguments: list[str], work: Path) -> None:
        asked.extend(arguments)
        (work / "Vengine").touch()

    monkeypatch.setattr(verilator, "run_verilator", verilate)
    monkeypatch.setattr(verilator, "run_make", lambda arguments, work: None)
    monkeypatch.chdir(tmp_path)
    verilator.compile_simulator("top", [Path("build/netlist.v")], [], Path("build/program"))
    assert str(tmp_path / "build" / "netlist.v") in asked
    assert Path("build/program").exists()


def test_a_build_borrows_the_library_of_one_with_its_options_and_no_other(tmp_path: Path) -> None:
    first = Engine(1, 4, 1, 1, 32)
    build_simulator(first, tmp_path)
    (library,) = tmp_path.glob("library-*")
    for path in library.iterdir():
        path.write_bytes(b"no object")
    with pytest.raises(NmforgeError, match="make in"):  # it links what it borrowed
        build_simulator(replace(first, rows=2), tmp_path)
    traced = build_simulator(first, tmp_path, Watch.TOGGLES)
    assert traced.exists() and len(list(tmp_path.glob("library-*"))) == 2


def test_python_and_the_testbench_read_the_same_records(tmp_path: Path) -> None:
    """A C++ program prints every field by its name; each holds a number of its own."""
    reads = "".join(
        f"    {{ {record.name} r; std::fread(&r, sizeof r, 1, stdin);\n"
        + "".join(f'      std::printf("{name} %llu\\n", (unsigned long long)r.{name});\n' for name in record.fields)
        + "    }\n"
        for record in RECORDS
    )
    (tmp_path / "protocol.hpp").write_text(protocol_header())
    (tmp_path / "main.cpp").write_text(f'#include "protocol.hpp"\n#include <cstdio>\nint main() {{\n{reads}}}\n')
    compiler = require("g++", "install the Debian package g++")
    subprocess.run([compiler, "-std=c++17", "main.cpp", "-o", "main"], cwd=tmp_path, check=True)
    values = [{name: 100 * i + j for j, name in enumerate(record.fields)} for i, record in enumerate(RECORDS)]
    packed = b"".join(record.pack(fields) for record, fields in zip(RECORDS, values, strict=True))
    done = subprocess.run([tmp_path / "main"], input=packed, capture_output=True, check=True)
    expected = [f"{name} {value}" for fields in values for name, value in fields.items()]
    assert done.stdout.decode().splitlines() == expected


def test_records_are_little_endian_and_whole() -> None:
    assert [(status.name, status.value) for status in Status] == [
        ("DONE", 0), ("INDEX_ERROR", 1), ("NO_PROGRESS", 2), ("BROKEN_OFFER", 3),
    ]  # fmt: skip
    fields = {name: number for number, name in enumerate(reversed(DEVICE_JOB.fields))}
    packed = DEVICE_JOB.pack(fields)
    assert packed == struct.pack("<16I", *reversed(range(16))) and DEVICE_JOB.unpack(b"x" + packed, 1) == fields
    with pytest.raises(ValueError, match="DeviceJob takes the fields"):
        DEVICE_JOB.pack({"keep": 1})
