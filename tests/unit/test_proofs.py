"""Proofs of the RTL: they go through on what is there, and stop at what is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nmforge.cli import main
from nmforge.errors import NmforgeError
from nmforge.fpga.proofs import prove_pe, prove_product
from nmforge.fpga.toolchain import rtl_sources
from nmforge.spec import Pattern


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
    assert main(["hardware", "prove", "--pattern", "1:4", "--out", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 and said[0].startswith("INT4 multiplier: proved for every code and activation")
    assert all(" by induction over " in line for line in said[1:])
    rows = json.loads(out.read_text())["rows"]
    assert [row["theorem"] for row in rows] == ["INT4 multiplier", "1:4 INT4, sums", "1:4 INT4, missing ones"]
    assert {row["stage"] for row in rows} == {"formal"}


@pytest.mark.parametrize("pattern", ["1:1", "1:2"])
def test_other_windows(pattern: str) -> None:
    assert all(1 <= proof.depth <= 8 for proof in prove_pe(Pattern.parse(pattern), 4))


@pytest.mark.parametrize(
    ("file", "old", "new", "theorem"),
    [
        ("nmforge_select", "sel[0] ? places[2*i+1] : places[2*i]", "sel[0] ? places[2*i] : places[2*i+1]", "sums"),
        ("nmforge_pe", "drain_out       <= capture ? total", "drain_out       <= capture ? accumulator", "sums"),
        ("nmforge_pe", "if (load_in) act_out <= act_in;", "act_out <= act_in;", "sums"),
        ("nmforge_missing", "running <= last_step ? '0 : next;", "running <= next;", "missing ones"),
    ],
)
def test_a_fault_in_the_pe_stops_the_proof(tmp_path: Path, file: str, old: str, new: str, theorem: str) -> None:
    with pytest.raises(NmforgeError, match=f"the proof of 1:4 INT4, {theorem} failed"):
        prove_pe(Pattern(1, 4), 4, altered(tmp_path, file, old, new))


def test_a_fault_in_the_recoding_stops_the_proof_of_the_multiplier(tmp_path: Path) -> None:
    wrong = altered(tmp_path, "nmforge_recode", "pair + {1'b0, carry[i]}", "pair")
    with pytest.raises(NmforgeError, match="the proof of INT4 multiplier failed"):
        prove_product(4, wrong)
