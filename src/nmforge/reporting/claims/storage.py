"""The claim of storage: 4x less on 4096x4096."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nmforge.reporting.claims.registry import REGISTRY, Claim
from nmforge.reporting.paper import STORAGE
from nmforge.reporting.query import PAPER_DESIGN, Tables, at, gpu_or_cpu, origin, with_pattern
from nmforge.reporting.verdicts import Entry, factor, headline, missing

if TYPE_CHECKING:
    import pandas as pd

CLAIM = f"{STORAGE:g}x less weight storage"


def entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Bytes of one packed 4096x4096 matrix, and of the compressed linear layers of the real model."""
    yield headline(_square(tables["kernels"], here))
    storage = at(tables["storage"], scope="linear")
    if storage.empty:
        yield missing(CLAIM, STORAGE, "model, linear layers", "no storage rows")
        return
    sparse = with_pattern(storage, "2:4", 4)
    as_in_paper = at(sparse, design_id=PAPER_DESIGN, encoding="none")
    packed = sparse[sparse["encoding"] != "none"]
    for rows, how in [(as_in_paper, "zeros stored, as in the paper"), (packed, "packed")]:
        if rows.empty:
            yield missing(CLAIM, STORAGE, f"model, linear layers, {how}", "no 2:4 INT4 storage row of this kind")
            continue
        row = rows.sort_values(["bits_per_weight", "design_id"]).iloc[0]
        where = f"{row['model']}, linear layers, {row['design_id']}, {how} ({row['encoding']})"
        saved = 16 / float(row["bits_per_weight"])
        yield factor(CLAIM, STORAGE, saved, where, "the same layers in fp16", origin([row], here))


def _square(kernels: pd.DataFrame, here: str | None) -> Entry:
    """The bytes that our 2:4 INT4 CPU kernel reads for a matrix of 4096x4096."""
    where = "4096x4096, 2:4 INT4 as our CPU kernel reads it"
    rows = with_pattern(at(gpu_or_cpu(kernels, "CPU"), n=4096, k=4096, family="nmforge"), "2:4", 4)
    rows = rows if rows.empty else rows[rows["weight_bytes"].notna()]
    if rows.empty:
        return missing(CLAIM, STORAGE, where, "no 2:4 INT4 kernel rows at 4096x4096")
    row = rows.sort_values("weight_bytes", kind="stable").iloc[0]
    saved = 2 * 4096 * 4096 / float(row["weight_bytes"])
    return factor(CLAIM, STORAGE, saved, where, "fp16, 33,554,432 bytes", origin([row], here))


REGISTRY.add(Claim("storage", CLAIM, ("kernels", "storage"), entries, order=10))
