"""The claim of storage: 4x less on 4096x4096."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from nmforge.reporting.claims.entry import STORAGE, Entry, Tables, factor, missing, table_of
from nmforge.reporting.query import at, gpu_or_cpu, origin, pattern_name


def storage_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Bytes of one packed 4096x4096 matrix, and of the compressed linear layers of the real model."""
    claim = "4x less weight storage"
    yield _square_storage(table_of(tables, "kernels"), claim, here)
    storage = at(table_of(tables, "storage"), scope="linear")
    if storage.empty:
        yield missing(claim, "4x", "model, linear layers", "no storage rows")
        return
    sparse = storage[(storage["pattern"].map(pattern_name) == "2:4") & (storage["bits"] == 4)]
    in_place = sparse[(sparse["design_id"] == "paper-2of4") & (sparse["encoding"] == "none")]
    for rows, how in [
        (in_place, "zeros in place, as the paper"),
        (sparse[sparse["encoding"] != "none"], "packed"),
    ]:
        if len(rows):
            row = rows.sort_values(["bits_per_weight", "design_id"]).iloc[0]
            where = f"{row['model']}, linear layers, {row['design_id']}, {how} ({row['encoding']})"
            saved = 16 / float(row["bits_per_weight"])
            yield factor(claim, STORAGE, saved, where, "the same layers in fp16", origin([row], here))
        else:
            yield missing(claim, "4x", f"model, linear layers, {how}", "no such 2:4 INT4 storage row")


def _square_storage(kernels: pd.DataFrame, claim: str, here: str | None) -> Entry:
    where = "4096x4096, 2:4 INT4 as our CPU kernel reads it"
    rows = at(_ours_2of4(gpu_or_cpu(kernels, "CPU")), n=4096, k=4096)
    rows = rows if rows.empty else rows[rows["weight_bytes"].notna()]
    if rows.empty:
        return missing(claim, "4x", where, "no 2:4 INT4 kernel rows at 4096x4096")
    row = rows.sort_values("weight_bytes", kind="stable").iloc[0]
    saved = 2 * 4096 * 4096 / float(row["weight_bytes"])
    return factor(claim, STORAGE, saved, where, "fp16, 33,554,432 bytes", origin([row], here))


def _ours_2of4(kernels: pd.DataFrame) -> pd.DataFrame:
    if kernels.empty:
        return kernels
    ours = kernels[(kernels["family"] == "ours") & (kernels["bits"] == 4)]
    return ours[ours["pattern"].map(pattern_name) == "2:4"]
