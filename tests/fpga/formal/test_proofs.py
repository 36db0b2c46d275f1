"""Proofs of the RTL: they go through on what is there, and stop at what is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nmforge.cli import main
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.fpga.formal.proofs import prove_pe, prove_product, prove_step
from nmforge.fpga.model.engine import Engine, Kind
from nmforge.fpga.sources import rtl_sources

pytestmark = pytest.mark.rtl


def pe(window: int, bits: int = 4, lanes: int = 1, group: int = 64, kind: Kind = "gemm") -> Engine:
    """The engine of one PE."""
    return Engine(window, bits, 1, 1, group, lanes, kind)


def altered(folder: Path, name: str, old: str, new: str) -> list[Path]:
    """Copies of the RTL, one of them with a fault."""
    copies = [Path(shutil.copy(path, folder)) for path in rtl_sources()]
    for path in copies:
        if path.stem == name:
            text = path.read_text()
            assert text.count(old) == 1
            path.write_text(text.replace(old, new))
    return copies


def test_a_sparse_pe_sums_what_a_dense_one_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "proof.json"
    assert main(["fpga", "prove", "--pattern", "1:4", "--out", str(out)]) == 0
    *said, last = capsys.readouterr().out.splitlines()
    assert last.startswith(f"wrote {out}")
    theorems = [
        "INT4 multiplier", "INT4 step in a window of 4",
        "1:4 INT4 gemm PE, 1 lane(s), sums", "1:4 INT4 gemm PE, 1 lane(s), missing ones",
    ]  # fmt: skip
    hows = ["for every input", "for every input", "by induction over ", "by induction over "]
    for line, theorem, how in zip(said, theorems, hows, strict=True):
        assert line.startswith(f"{theorem}: proved {how}")
    rows = json.loads(out.read_text())["rows"]
    assert [row["theorem"] for row in rows] == theorems
    assert {row["stage"] for row in rows} == {"formal"}


@pytest.mark.parametrize(
    ("pattern", "engine"),
    [
        ("1:1", pe(1)), ("1:2", pe(2)), ("2:4", pe(4)), ("1:1", pe(4)), ("1:2", pe(4)), ("4:8", pe(8)), ("2:8", pe(8)),
        ("1:8", pe(8)), ("2:16", pe(16)), ("3:5", pe(5, group=60)), ("2:4", pe(4, bits=3)), ("2:4", pe(4, bits=8)),
        ("2:4", pe(4, lanes=2)), ("2:4", pe(4, kind="gemv")), ("2:4", pe(4, lanes=2, kind="gemv")),
    ],
)  # fmt: skip
def test_every_pattern(pattern: str, engine: Engine) -> None:
    assert prove_step(engine).depth == 0
    found = prove_pe(Pattern.parse(pattern), engine)
    assert len(found) == (1 if engine.kind == "gemv" else 2)
    assert all(1 <= proof.depth <= 8 for proof in found)


@pytest.mark.parametrize(
    ("file", "old", "new", "theorem"),
    [
        ("nmforge_select", "sel[0] ? places[2*i+1] : places[2*i]", "sel[0] ? places[2*i] : places[2*i+1]", "sums"),
        ("nmforge_pe", "drain_out       <= capture ? total", "drain_out       <= capture ? accumulator", "sums"),
        ("nmforge_pe", "total : drain_in;", "total : '0;", "sums"),
        ("nmforge_pe", "valid_product <= rst_n & valid_operand;", "valid_product <= valid_operand;", "sums"),
        ("nmforge_pe", "if (load_in) act_out <= act_in;", "act_out <= act_in;", "sums"),
        ("nmforge_missing", "running <= last_step ? '0 : next;", "running <= next;", "missing ones"),
        ("nmforge_missing", "if (!rst_n) running <= '0;\n        else if", "if", "missing ones"),
    ],
)
def test_a_fault_in_the_pe_stops_the_proof(tmp_path: Path, file: str, old: str, new: str, theorem: str) -> None:
    with pytest.raises(NmforgeError, match=rf"the proof of 1:4 INT4 .*, {theorem} failed"):
        prove_pe(Pattern(1, 4), pe(4), altered(tmp_path, file, old, new))


def test_a_fault_in_the_recoding_stops_the_proof_of_the_multiplier(tmp_path: Path) -> None:
    wrong = altered(tmp_path, "nmforge_recode", "pair + {1'b0, carry[i]}", "pair")
    with pytest.raises(NmforgeError, match="the proof of INT4 multiplier failed"):
        prove_product(4, wrong)


def test_an_empty_place_that_adds_something_stops_the_proof_of_the_step(tmp_path: Path) -> None:
    wrong = altered(tmp_path, "nmforge_recode", "(negative ? BITS'(magnitude) : '0)", "BITS'(!negative)")
    with pytest.raises(NmforgeError, match="the proof of INT4 step in a window of 4 failed"):
        prove_step(pe(4), wrong)
