"""Proofs about the RTL, by Yosys alone: no simulation, no bound on time, every input.

Three statements make one. The parts of the recoded multiplier multiply (`product_ok`). What leaves the zero-skipping PE
and the row edge is the sum of those parts over the steps of a group, and the steps of a window ascend (`sum_ok`,
`left_ok`, `free_ok`), by k-induction from the state after power-up: what held for k cycles holds in the next one. And
each such step turns the dense sum of the window without its code into the dense sum with it (`step_ok`). So the sum of
the steps is what a dense PE sums on the unpacked weights.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.fpga.model.engine import Engine
from nmforge.fpga.model.rows import engine_columns
from nmforge.fpga.sources import PROOFS, rtl_sources
from nmforge.fpga.synth.yowasp import read_design, run_wasm
from nmforge.io.records import write_point

LONGEST = 8  # cycles an induction may reach back; the PE holds a step for four
ORDER = ("free_ok 1", "filled_ok 1", "taken_ok 1")  # the steps of a window ascend
SUMS = ("sum_ok 1", "window_ok 1", *ORDER, "pe.of_step step_wanted", "pe.accumulator sum_so_far")
MISSING = ("left_ok 1", *ORDER, "missing_sum.running left_so_far")  # each a pair of signals


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


def prove_step(engine: Engine, sources: Sequence[Path] | None = None) -> Proof:
    """A code put after the others of a window adds its product to the dense sum, at every place of the window.

    engine: its windows, bits and group. Raises NmforgeError where that is not so. sources: RTL instead of the
    project's own.
    """
    name = f"INT{engine.bits} step in a window of {engine.window}"
    parameters = {"OF": engine.window, "BITS": engine.bits, "GROUP": engine.group}
    _, seconds = _prove(name, "nmforge_step_proof", parameters, "-prove step_ok 1", sources)
    return Proof(name, 0, seconds)


def prove_pe(pattern: Pattern, engine: Engine, sources: Sequence[Path] | None = None) -> list[Proof]:
    """A PE of `engine` sums up the products of `keep` ascending steps a window and lane, and no others.

    engine: its windows, bits, lanes and kind; the PE of a gemv engine leaves nothing out, so there is one proof, not
    two. Raises NmforgeError where a proof fails. sources: RTL instead of the project's own.
    """
    exact = engine.kind == "gemv"
    parameters = {
        "OF": engine.window, "KEEP": engine.keep(pattern), "BITS": engine.bits, "LANES": engine.lanes,
        "EXACT": int(exact), "GROUP": engine.group,
    }  # fmt: skip
    operands = [f"pe.lane[{j}].act act_wanted[{8 * j + 7}:{8 * j}]" for j in range(engine.lanes)]
    theorems = {"sums": (*SUMS, *operands)} | ({} if exact else {"missing ones": MISSING})
    found = []
    for theorem, pairs in theorems.items():
        name = f"{pattern} INT{engine.bits} {engine.kind} PE, {engine.lanes} lane(s), {theorem}"
        what = " ".join(f"-prove {pair}" for pair in pairs)
        options = f"-tempinduct -set-init-zero -maxsteps {LONGEST} {what}"
        found.append(Proof(name, *_prove(name, "nmforge_pe_proof", parameters, options, sources)))
    return found


def proof_point(pattern: Pattern, engine: Engine, out: Path) -> list[Proof]:
    """Prove the multiplier, the step and the PE of a pattern, and write a row of the fpga table (stage `formal`) for
    each proof."""
    proofs = [prove_product(engine.bits), prove_step(engine), *prove_pe(pattern, engine)]
    rows = [
        engine_columns(engine, str(pattern), "yosys", "formal")
        | {"theorem": proof.name, "depth": proof.depth, "seconds": proof.seconds}
        for proof in proofs
    ]
    write_point(out, "fpga", rows)
    return proofs


def _prove(
    name: str, top: str, parameters: dict[str, int], options: str, sources: Sequence[Path] | None
) -> tuple[int, float]:
    """(depth of the induction, seconds) of one proof."""
    files = [*(rtl_sources() if sources is None else sources), *sorted(PROOFS.glob("*.sv"))]
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
            raise NmforgeError(
                f"the proof of {name} failed: the RTL does not compute the dense sum; correct the RTL"
            ) from error
        steps = re.findall(r"\[induction step (\d+)\]", log.read_text())
    return max(map(int, steps), default=0), time.perf_counter() - start
