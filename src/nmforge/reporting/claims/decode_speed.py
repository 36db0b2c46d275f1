"""Does the compressed model generate text faster than other libraries?"""

from __future__ import annotations

from collections.abc import Iterator

from nmforge.reporting.claims.registry import REGISTRY, Claim
from nmforge.reporting.query import LIBRARY, LLAMA7B_MODEL, Tables, at, headline_context, most_threads, origin
from nmforge.reporting.verdicts import Entry, factor, missing

CLAIM = "2:4 INT4 generates text faster than the libraries"


def entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """The 2:4 INT4 design point that decodes fastest, against every library of the same run."""
    decode, designs = tables["decode"], at(tables["accuracy"], pattern="2:4", bits=4)
    rows = decode if decode.empty else decode[decode["model"] != LLAMA7B_MODEL]
    rows = headline_context(most_threads(rows))
    ours = rows if rows.empty or designs.empty else rows[rows["candidate"].isin(designs["design_id"])]
    libraries = at(rows, family=LIBRARY)
    if ours.empty or designs.empty or libraries.empty:
        yield missing(CLAIM, 1.0, "CPU", "no run decodes both a 2:4 INT4 point and a library")
        return
    best = ours.sort_values(["median_us", "candidate"], kind="stable").iloc[0]
    where = f"CPU, {best['model']}, {best['candidate']}, context {best['context']}, {best['threads']} threads"
    where = f"{where}, {best['tokens_per_s']:.0f} tokens/s"
    for _, library in at(libraries, run_id=best["run_id"]).iterrows():
        ratio = float(library["median_us"]) / float(best["median_us"])
        against = f"{library['candidate']}, {library['tokens_per_s']:.0f} tokens/s"
        yield factor(CLAIM, 1.0, ratio, where, against, origin([best], here))


REGISTRY.add(Claim("decode_speed", CLAIM, ("decode", "accuracy"), entries, order=110))
