"""Claim `storage`: bytes over bytes."""

from __future__ import annotations

from factories.ledgers import KERNELS, entries_of
from factories.rows import kernel_row, storage_row


def test_storage_of_the_square_matrix_is_bytes_over_bytes() -> None:
    row = entries_of("storage", "4096x4096", kernels=KERNELS).iloc[0]
    assert row["ours_value"] == 5.0 and row["verdict"] == "exceeded"
    assert "33,554,432" in row["baseline"]


def test_storage_of_the_model_as_the_paper_and_packed() -> None:
    storage = [
        storage_row("paper-2of4", "none", 4.0),
        storage_row("a", "bitmask", 3.2),
        storage_row("a", "enumerative", 2.5),
        storage_row("a", "offset", 1.0, scope="model"),
    ]
    rows = entries_of("storage", "linear layers", storage=storage)
    assert list(rows["ours_value"]) == [4.0, 6.4]
    assert list(rows["verdict"]) == ["reproduced", "exceeded"]


def test_storage_is_counted_as_a_cpu_kernel_reads_it() -> None:
    gpu = kernel_row("gpu-ours-2of4-int4", "nmforge", "2:4", 4, 1.0, device="cuda: NVIDIA H100", weight_bytes=1.0)
    found, before = (entries_of("storage", "4096x4096", kernels=rows).iloc[0] for rows in ([*KERNELS, gpu], KERNELS))
    assert found["ours_value"] == before["ours_value"] > 1
