"""Claim `llama7b_throughput`: the scaling table as it is."""

from __future__ import annotations

import pytest
from factories.ledgers import entries_of
from factories.rows import Row, scaling_row


def test_llama_takes_the_scaling_table_as_it_is() -> None:
    fpga = {"engine": "device", "rows": 8, "cols": 8, "family": None, "source": "modelled", "clock_mhz": 100.0}
    scaling = [
        scaling_row("CPU", "2:4", 4, speedup_vs_dense=1.36),
        scaling_row("FPGA", "2:4", 4, speedup_vs_dense=2.0, **fpga),
    ]
    rows = entries_of("llama7b_throughput", scaling=scaling).set_index("platform")
    assert list(rows["verdict"]) == ["not measurable here", "reproduced", "exceeded"]
    assert list(rows["source"])[1:] == ["measured here", "modelled"]


def test_an_array_without_a_routed_clock_has_no_throughput() -> None:
    fpga = {"engine": "gemm", "rows": 8, "cols": 8, "family": None, "source": "modelled", "clock_mhz": float("nan")}
    row = entries_of("llama7b_throughput", scaling=[scaling_row("FPGA", "2:4", 4, speedup_vs_dense=2.0, **fpga)])
    last = row.iloc[-1]
    assert (last["platform"], last["verdict"]) == ("FPGA", "not measurable here") and "routed" in last["source"]


@pytest.mark.parametrize(
    ("gain", "dense_bytes", "verdict"),
    [(1.9, 1.3e9, "exceeded"), (2.5, 1.3e9, "refused"), (2.5, 2.6e9, "exceeded"), (2.03, 1.3e9, "exceeded")],
)
def test_more_than_multiplications_and_bytes_allow_is_refused(gain: float, dense_bytes: float, verdict: str) -> None:
    timed = {"us_error": 1.0, "stage": "matmul", "family": "nmforge"}
    scaling = [
        scaling_row("CPU", "2:4", 4, us_per_token=100.0, bytes_per_token=1e9, speedup_vs_dense=gain, **timed),
        scaling_row("CPU", "dense", 4, us_per_token=100.0 * gain, bytes_per_token=dense_bytes, **timed),
    ]
    rows = entries_of("llama7b_throughput", scaling=scaling)
    assert list(rows[rows["platform"].str.startswith("CPU")]["verdict"]) == [verdict]  # 2.03x may be noise above 2x


def decoded(pattern: str, bits: int, kernel: str, us: float, **more: object) -> Row:
    return scaling_row("CPU", pattern, bits, kernel=kernel, us_per_token=us, context=512, **more)


def test_a_llama_decoded_as_a_whole_is_compared_with_bf16_and_the_libraries() -> None:
    scaling = [
        decoded("2:4", 4, "2:4-int4", 50.0, speedup_vs_dense=1.3),
        decoded("dense", 4, "dense-int4", 65.0),
        decoded("dense", 16, "dense-bf16", 250.0, us_of_2of4=62.5),
        decoded("dense", 4, "llamacpp-q4_0", 90.0, us_of_2of4=50.0, family="library"),
    ]
    far = [{**row, "context": 2048, "us_per_token": 1e3, "speedup_vs_dense": 9.0} for row in scaling]
    rows = entries_of("llama7b_throughput", scaling=scaling + far)
    found = rows[rows["platform"].str.contains("context 512")]
    assert list(found["ours_value"]) == [1.3, 4.0, 1.8]  # each against the 2:4 of its own run
    assert list(found["baseline"])[1:] == ["dense bf16, same decoder", "llamacpp-q4_0"]
    assert not rows["platform"].str.contains("2048").any()


def test_a_library_without_a_2of4_of_its_run_has_a_reason() -> None:
    scaling = [
        decoded("2:4", 4, "2:4-int4", 50.0, speedup_vs_dense=1.3),
        decoded("dense", 4, "llamacpp-q4_0", 90.0, family="library"),
    ]
    row = entries_of("llama7b_throughput", "context 512", scaling=scaling).iloc[-1]
    assert (row["verdict"], row["source"]) == (
        "not measurable here", "no run alternates 2:4 INT4 with llamacpp-q4_0",
    )  # fmt: skip
