"""Is the compressed model faster to talk to? Tokens per second beside the libraries, and how close to memory's rate."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from nmforge.reporting.claims.entry import Entry, Tables, factor, missing, table_of, verdict
from nmforge.reporting.query import OURS_2OF4, Query, at, headline_context, most_threads, on_platform, origin, pair

READ = Query("limit", "2:4", (4,), "read")
BAR = 0.85  # ours: a product of one token reads its weights at this share of what plain reading reaches


def decode_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """The 2:4 INT4 design point that decodes fastest, against every library of the same run."""
    claim = "2:4 INT4 generates text faster than the libraries"
    decode, designs = table_of(tables, "decode"), at(table_of(tables, "accuracy"), pattern="2:4", bits=4)
    rows = decode if decode.empty else decode[decode["model"] != "llama-7b"]
    rows = headline_context(most_threads(rows))
    ours = rows if rows.empty or designs.empty else rows[rows["candidate"].isin(designs["design_id"])]
    peers = at(rows, family="peer")
    if ours.empty or designs.empty or peers.empty:
        yield missing(claim, "1x", "CPU", "no run decodes a 2:4 INT4 point beside a library")
        return
    best = ours.sort_values(["median_us", "candidate"], kind="stable").iloc[0]
    where = f"CPU, {best['model']}, {best['candidate']}, context {best['context']}, {best['threads']} threads"
    for _, peer in at(peers, run_id=best["run_id"]).iterrows():
        ratio = float(peer["median_us"]) / float(best["median_us"])
        against = f"{peer['candidate']}, {peer['tokens_per_s']:.0f} tokens/s"
        yield factor(claim, 1.0, ratio, f"{where}, {best['tokens_per_s']:.0f} tokens/s", against, origin([best], here))


def bandwidth_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """The share of a plain read of the same bytes, alternated with it, at which one token's product runs."""
    claim = "one token's product runs at the rate of memory"
    kernels = at(on_platform(table_of(tables, "kernels"), "CPU"), n=4096, k=4096, cache="streamed", m=1)
    found = pair(most_threads(kernels), OURS_2OF4, READ)
    if found is None:
        yield missing(claim, f"our bar: {BAR:.0%}", "CPU", "no run holds a 2:4 product and a read of its bytes")
        return
    row: pd.Series = found.row
    yield Entry(
        claim,
        f"our bar: {BAR:.0%}",
        f"{found.ratio:.0%}",
        f"CPU, ours 2:4 INT4, M=1, streamed, {row['threads']} threads",
        "reading the same bytes and doing nothing",
        verdict(found.ratio, BAR),
        origin([row, found.baseline], here),
        BAR,
        found.ratio,
    )
