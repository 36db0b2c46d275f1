"""The gap the paper was withdrawn over: does every backend compute the same integers?"""

from __future__ import annotations

from collections.abc import Iterator

from nmforge.reporting.claims.registry import REGISTRY, Claim
from nmforge.reporting.query import Tables, at, origin
from nmforge.reporting.verdicts import Entry, headline, holds, missing

CLAIM, CLAIMED = "one arithmetic on every backend", "0 mismatches"
EVERYWHERE = {"cpu": "C++ kernel", "rtl": "RTL simulation"}
WHERE_RUN = {
    "gpu": "GPU kernel",
    "rtl-text": "RTL simulation, whole layers of a text",
    "ecp5-synthesis": "ECP5 netlist after synthesis",
    "ecp5-route": "ECP5 netlist after place and route",
}
BASELINES = {"rtl-text": "C++ kernel"}  # every other backend is compared with the NumPy reference


def entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """INT32 accumulators that differ, per backend: those that every machine has, then those that were run."""
    coherence = tables["coherence"]
    found = set(coherence.get("backend", []))
    shown = next((backend for backend in ("rtl-text", "rtl", "cpu") if backend in found), None)
    for backend, name in (EVERYWHERE | {key: name for key, name in WHERE_RUN.items() if key in found}).items():
        rows = at(coherence, backend=backend)
        compared = 0 if rows.empty else int(rows["compared"].sum())
        if compared == 0:
            yield missing(CLAIM, CLAIMED, name, f"no {backend} accumulators were compared")
            continue
        wrong, designs = int(rows["mismatches"].sum()), rows["design_id"].nunique()
        where = f"{name}, {designs} design point{'s' * (designs != 1)}"
        baseline = f"{BASELINES.get(backend, 'reference')}, compared with =="
        text = f"{wrong} of {compared:,} INT32 differ"
        entry = Entry(CLAIM, CLAIMED, text, where, baseline, holds(wrong == 0), origin(rows, here), 0.0, wrong)
        yield headline(entry) if backend == shown else entry


REGISTRY.add(Claim("coherence", CLAIM, ("coherence",), entries, order=130))
