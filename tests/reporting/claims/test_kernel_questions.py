"""Claims `sparser_patterns`, `threads` and `memory_rate`."""

from __future__ import annotations

from factories.ledgers import KERNELS, entries_of
from factories.rows import kernel_row


def test_sparser_kernels_are_compared_with_2of4_of_their_run() -> None:
    quarter = [
        kernel_row("ours-1:4", "nmforge", "1:4", 4, 50.0),
        kernel_row("ours-2:8", "nmforge", "2:8", 4, 80.0, run_id="other"),
    ]
    rows = entries_of("sparser_patterns", kernels=[*KERNELS, *quarter])
    assert list(rows["ours"]) == ["2.00x [1.96, 2.04]", "-"]  # exp(1.96 sqrt 2 1.859 / 50 / sqrt 30)
    assert list(rows["verdict"]) == ["exceeded", "not measurable here"]


def test_threads_are_compared_at_the_largest_m_in_cache_of_one_run() -> None:
    resident = {"cache": "resident", "m": 128}
    times = [
        kernel_row("ours-2:4-int4", "nmforge", "2:4", 4, 900.0, threads=1, **resident),
        kernel_row("ours-2:4-int4", "nmforge", "2:4", 4, 500.0, threads=2, **resident),
        kernel_row("ours-2:4-int4", "nmforge", "2:4", 4, 10.0, threads=2, run_id="other", **resident),
        kernel_row("ours-2:4-int4", "nmforge", "2:4", 4, 1.0, threads=1, cache="resident", m=16),
    ]
    row = entries_of("threads", kernels=[*KERNELS, *times]).iloc[0]
    assert (row["ours"], row["claimed"], row["verdict"]) == ("1.80x", "1.8x", "reproduced")
    assert entries_of("threads", kernels=KERNELS)["verdict"].tolist() == ["not measurable here"]


def test_the_share_of_the_read_rate_is_that_of_one_run() -> None:
    read = kernel_row("read-2:4-int4", "roofline", "2:4", 4, 90.0, stage="read")
    rows = entries_of("memory_rate", kernels=[*KERNELS, read])
    assert list(rows["ours_value"]) == [0.9] and list(rows["verdict"]) == ["reproduced"]
    assert rows["low"].iloc[0] < 0.9 < rows["high"].iloc[0]
    assert list(entries_of("memory_rate", kernels=KERNELS)["verdict"]) == ["not measurable here"]


def test_more_than_the_rate_of_memory_is_refused_unless_noise_explains_it() -> None:
    read = kernel_row("read-2:4-int4", "roofline", "2:4", 4, 195.0, stage="read")
    assert list(entries_of("memory_rate", kernels=[*KERNELS, read])["verdict"]) == ["refused"]
    noisy = read | {"median_us": 112.0, "spread_us": 60.0, "repeats": 5}
    assert list(entries_of("memory_rate", kernels=[*KERNELS, noisy])["verdict"]) == ["within noise"]
