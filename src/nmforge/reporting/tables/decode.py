"""Table `decode`."""

from __future__ import annotations

from nmforge.reporting.tables import _columns as shared
from nmforge.reporting.tables.registry import REGISTRY, Column, Table

COLUMNS = {
    **shared.MODEL,
    "candidate": Column("id of a design point, a format of a random LLaMA-7B, or a library and its format"),
    "family": Column("`ours` or `library`"),
    **shared.DEVICE,
    **shared.CODE,
    "context": Column("tokens in the cache while one more is decoded", "tokens"),
    "tokens_per_s": Column("speed", "tokens/s"),
    **shared.TIMING,
    "bytes_per_token": Column("bytes of weights and of cached keys and values that a token needs", "bytes"),
    "bytes_per_s": Column("those bytes per second", "bytes/s"),
    "share_of_bandwidth": Column("`bytes_per_s` over `read_bandwidth`"),
    "read_bandwidth": Column("rate of a plain read of memory, measured in the same run", "bytes/s"),
    **shared.RUN_ID,
    **shared.PROVENANCE,
}
SUMMARY = "speed of one model that decodes one token after another, at one context"
REGISTRY.add(Table("decode", SUMMARY, "benchmarks", COLUMNS, order=70))
