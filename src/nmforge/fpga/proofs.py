"""Proofs about the RTL, by Yosys alone: no simulation, no bound on time, every input.

Two statements make one: the parts of the recoded multiplier multiply (`product_ok`), and the zero-skipping PE sums up
what a dense PE sums up on the unpacked weights (`sum_ok`, `left_ok`), both with that multiplier. The second is shown by
k-induction from the state after reset: what held for k cycles holds in the next one.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmforge.errors import NmforgeError
from nmforge.fpga.engine import Engine
from nmforge.fpga.run import GROUP, SEED, engine_columns
from nmforge.fpga.toolchain import FPGA, rtl_sources
from nmforge.fpga.wasm import read_design, run_wasm
from nmforge.records import write_point
from nmforge.spec import Pattern

HARNESSES = FPGA / "formal"
LONGEST = 8  # cycles an induction may reach back; the PE holds a step for four
INVARIANTS = ("places_ok 1", "taken_ok 1")
THEOREMS = {  # what is proved together, each a pair of signals
    "sums": ("sum_ok 1", "window_ok 1", *INVARIANTS, "pe.accumulator sum_so_far"),
    "missing ones": ("left_ok 1", *INVARIANTS, "missing_sum.running left_so_far"),
}


@dataclass(frozen=True)
class Proof:
    """A finished proof. depth: cycles the induction reached back, 0 where no time is involved."""

    name: str
    depth: int
    seconds: float


def prove_product(bits: int, sources: Sequence[Path] | None = None) -> Proof:
    """A code of `bits` bits times an activation is what the PE computes and what it leaves out together.

    Raises NmforgeError where that is not so. sources: RTL instead of the project's own.
    """
    name = f"INT{bits} multiplier"
    _, seconds = _prove(name, "nmforge_product_proof", {"BITS": bits}, "-prove product_ok 1", sources)
    return Proof(name, 0, seconds)


def prove_pe(pattern: Pattern, bits: int, sources: Sequence[Path] | None = None) -> list[Proof]:
    """A PE for windows of `pattern.of` sums `pattern.keep` kept weights a window as a dense PE sums all of them.

    Raises NmforgeError where that is not so. sources: RTL instead of the project's own.
    """
    parameters = {"OF": pattern.of, "KEEP": pattern.keep, "BITS": bits}
    found = []
    for theorem, pairs in THEOREMS.items():
        name = f"{pattern} INT{bits}, {theorem}"
        what = " ".join(f"-prove {pair}" for pair in pairs)
        options = f"-tempinduct -set-init-zero -maxsteps {LONGEST} {what}"
        found.append(Proof(name, *_prove(name, "nmforge_pe_proof", parameters, options, sources)))
    return found


def proof_point(pattern: Pattern, bits: int, out: Path) -> list[Proof]:
    """Prove the multiplier and a pattern, and write a row of the fpga table (stage `formal`) for each proof."""
    proofs = [prove_product(bits), *prove_pe(pattern, bits)]
    engine = Engine(pattern.of, bits, 1, 1, GROUP)
    rows = [
        engine_columns(engine, str(pattern), "yosys", "formal", SEED)
        | {"theorem": proof.name, "depth": proof.depth, "seconds": proof.seconds}
        for proof in proofs
    ]
    write_point(out, "fpga", rows)
    return proofs


def _prove(
    name: str, top: str, parameters: dict[str, int], options: str, sources: Sequence[Path] | None
) -> tuple[int, float]:
    """(depth of the induction, seconds) of one proof."""
    files = [*(rtl_sources() if sources is None else sources), *sorted(HARNESSES.glob("*.sv"))]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="prove-") as folder:
        log = Path(folder) / "proof.log"
        read = read_design(top, files, parameters, None, Path(folder))
        script = f"{read}; hierarchy -top {top}; proc; flatten; memory; opt -full; async2sync"
        try:
            run_wasm("yosys", ["-q", "-p", f"{script}; tee -q -o {log.name} sat -verify {options}"], Path(folder))
        except NmforgeError as error:
            if not log.exists() or "proof did fail" not in log.read_text():
                raise
            raise NmforgeError(f"the proof of {name} failed: the RTL does not compute the dense sum") from error
        steps = re.findall(r"\[induction step (\d+)\]", log.read_text())
    return max(map(int, steps), default=0), time.perf_counter() - start
