"""The ledger: verdict boundaries, exact ratios from tiny tables, and a reason wherever a row is missing."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from nmforge.core.errors import NmforgeError
from nmforge.reporting.claims.ledger import format_ledger, insert, ledger, markdown, verdict

CPU = "AMD EPYC 7B13, 2 cores"
WHERE = {"host": CPU, "date": "2026-01-02"}
VERDICTS = {"reproduced", "exceeded", "not reached", "not measurable here"}


def kernel(kernel: str, family: str, pattern: str, bits: int, us: float, **more: object) -> dict[str, object]:
    base = {
        "kernel": kernel, "family": family, "pattern": pattern, "bits": bits, "device": CPU, "isa": "avx2",
        "threads": 2, "m": 1, "n": 4096, "k": 4096, "cache": "streamed", "stage": "matmul", "median_us": us,
        "weight_bytes": 4096 * 4096 / 2, "run_id": "r", **WHERE,
    }  # fmt: skip
    return base | more


KERNELS = [
    kernel("torch-fp32", "library", "dense", 32, 800.0),
    kernel("torch-bf16", "library", "dense", 16, 900.0),
    kernel("ort", "library", "dense", 4, 180.0),
    kernel("ours-dense-int4", "ours", "dense", 4, 171.0),
    kernel("ours-dense-int3", "ours", "dense", 3, 125.0),
    kernel("ours-2:4-int4", "ours", "2:4", 4, 100.0, weight_bytes=4096 * 4096 * 3.2 / 8),
    kernel("unfused", "paper", "dense", 4, 1000.0),
    kernel("unfused", "paper", "2:4", 4, 1000.0),
    kernel("unfused", "paper", "dense", 4, 2000.0, stage="end_to_end"),
    kernel("unfused", "paper", "2:4", 4, 2100.0, stage="end_to_end"),
]


def rows_of(tables: dict[str, list[dict[str, object]]], claim: str, platform: str = "") -> pd.DataFrame:
    """Ledger rows whose claim and platform contain the given words."""
    table = ledger({name: pd.DataFrame(rows) for name, rows in tables.items()})
    found = table["claim"].str.contains(claim, regex=False) & table["platform"].str.contains(platform, regex=False)
    return table[found]


@pytest.mark.parametrize(
    ("ours", "claimed", "expected"),
    [
        (3.8, 4.0, "reproduced"),
        (3.799, 4.0, "not reached"),
        (4.2, 4.0, "reproduced"),
        (4.201, 4.0, "exceeded"),
        (1.0, 1.0, "reproduced"),
        (0.0, 1.0, "not reached"),
        (math.nan, 1.0, "not measurable here"),
    ],
)
def test_verdict_boundaries(ours: float, claimed: float, expected: str) -> None:
    assert verdict(ours, claimed) == expected


def test_no_tables_at_all_is_a_ledger_of_reasons() -> None:
    table = ledger({})
    assert set(table["verdict"]) == {"not measurable here"}
    assert (table["source"].str.len() > 5).all() and set(table["ours"]) == {"-"}
    for factor in ("4x", "1.71x", "1.29x", "1.36x", "beyond 2:4"):
        assert table["claim"].str.contains(factor, regex=False).any(), factor


def test_storage_of_the_square_matrix_is_bytes_over_bytes() -> None:
    row = rows_of({"kernels": KERNELS}, "storage", "4096x4096").iloc[0]
    assert row["ours_value"] == 5.0 and row["verdict"] == "exceeded"
    assert "33,554,432" in row["baseline"]


def test_storage_of_the_model_as_the_paper_and_packed() -> None:
    base = {"model": "m", "pattern": "2:4", "bits": 4, "scope": "linear", **WHERE}
    storage = [
        {**base, "design_id": "paper-2of4", "encoding": "none", "bits_per_weight": 4.0},
        {**base, "design_id": "a", "encoding": "bitmask", "bits_per_weight": 3.2},
        {**base, "design_id": "a", "encoding": "enumerative", "bits_per_weight": 2.5},
        {**base, "design_id": "a", "encoding": "offset", "bits_per_weight": 1.0, "scope": "model"},
    ]
    rows = rows_of({"storage": storage}, "storage", "linear layers")
    assert list(rows["ours_value"]) == [4.0, 6.4]
    assert list(rows["verdict"]) == ["reproduced", "exceeded"]


def test_matmul_ratios_name_their_baseline() -> None:
    rows = rows_of({"kernels": KERNELS}, "faster matmul", "CPU, ours").set_index("baseline")
    assert rows["ours_value"].to_dict() == {
        "ours dense INT4 (ours-dense-int4)": 1.71,
        "the fastest library's dense INT4 (ort)": 1.8,
        "the fastest library's dense floats (torch-fp32)": 8.0,  # fp32 is the faster one here
    }
    assert list(rows["verdict"]) == ["reproduced", "exceeded", "exceeded"]


def test_the_papers_own_path_on_a_cpu_is_not_tuned() -> None:
    row = rows_of({"kernels": KERNELS}, "1.29x", "CPU, unfused").iloc[0]
    assert row["ours_value"] == 2000 / 2100 and row["verdict"] == "not reached"
    fused = rows_of({"kernels": KERNELS}, "1.29x", "fused, M=1").iloc[0]
    assert fused["ours_value"] == 20.0


def test_without_cuda_rows_the_gpu_is_not_measurable() -> None:
    rows = rows_of({"kernels": KERNELS}, "", "GPU")
    assert len(rows) == 3 and set(rows["verdict"]) == {"not measurable here"}
    assert set(rows["source"]) == {"no CUDA device was measured"}


def test_cuda_rows_are_compared_with_cuda_rows() -> None:
    gpu = {"device": "cuda: NVIDIA H100", "m": 128}
    more = [
        kernel("fp16", "paper", "dense", 16, 20.0, **gpu),
        kernel("sparse", "paper", "2:4", 16, 10.0, **gpu),
    ]
    row = rows_of({"kernels": KERNELS + more}, "1.71x", "GPU").iloc[0]
    assert row["ours_value"] == 2.0 and row["verdict"] == "exceeded" and "recorded on NVIDIA H100, " in row["source"]


def test_storage_is_counted_as_a_cpu_kernel_reads_it() -> None:
    gpu = kernel("gpu-ours-2of4-int4", "ours", "2:4", 4, 1.0, device="cuda: NVIDIA H100", weight_bytes=1.0)
    found, before = (rows_of({"kernels": rows}, "4x less", "4096x4096").iloc[0] for rows in ([*KERNELS, gpu], KERNELS))
    assert found["ours_value"] == before["ours_value"] > 1


def test_a_gpu_of_this_machine_stands_in_place_of_a_recorded_one() -> None:
    def gpu(name: str, date: str, ours: float) -> list[dict[str, object]]:
        where = {"device": f"cuda: {name}", "m": 1, "run_id": name, "date": date}
        return [kernel("gpu-a", "ours", "dense", 4, 20.0, **where), kernel("gpu-b", "ours", "2:4", 4, ours, **where)]

    recorded, own = gpu("old", "2026-01-01", 10.0), gpu("new", "2026-02-02", 5.0)
    for tables, ratio, name in [(recorded, 2.0, "old"), (recorded + own, 4.0, "new")]:
        rows = rows_of({"kernels": KERNELS + tables}, "1.71x", "GPU, ours 2:4 INT4, M=1")
        assert rows.iloc[0]["ours_value"] == ratio and name in rows.iloc[0]["source"]


def test_only_rows_of_the_same_run_are_compared() -> None:
    split = [row | {"run_id": str(i)} for i, row in enumerate(KERNELS)]
    rows = rows_of({"kernels": split}, "faster matmul", "CPU")
    assert set(rows["verdict"]) == {"not measurable here"}


def test_of_three_runs_the_median_ratio_counts() -> None:
    runs = []
    for run, us in enumerate((100.0, 300.0, 200.0)):
        runs += [
            kernel("a", "ours", "dense", 4, us, run_id=str(run)),
            kernel("b", "ours", "2:4", 4, 100.0, run_id=str(run)),
        ]
    row = rows_of({"kernels": runs}, "faster matmul", "CPU, ours").iloc[0]
    assert row["ours_value"] == 2.0


def test_sparser_kernels_are_compared_with_2of4_of_their_run() -> None:
    quarter = [kernel("ours-1:4", "ours", "1:4", 4, 50.0), kernel("ours-2:8", "ours", "2:8", 4, 80.0, run_id="other")]
    rows = rows_of({"kernels": [*KERNELS, *quarter]}, "a quarter of the weights")
    assert list(rows["ours"]) == ["2.00x", "-"]
    assert list(rows["verdict"]) == ["exceeded", "not measurable here"]


def test_threads_are_compared_at_the_largest_m_in_cache_of_one_run() -> None:
    resident = {"cache": "resident", "m": 128}
    times = [
        kernel("ours-2:4-int4", "ours", "2:4", 4, 900.0, threads=1, **resident),
        kernel("ours-2:4-int4", "ours", "2:4", 4, 500.0, threads=2, **resident),
        kernel("ours-2:4-int4", "ours", "2:4", 4, 10.0, threads=2, run_id="other", **resident),
        kernel("ours-2:4-int4", "ours", "2:4", 4, 1.0, threads=1, cache="resident", m=16),
    ]
    row = rows_of({"kernels": [*KERNELS, *times]}, "every thread counts").iloc[0]
    assert (row["ours"], row["claimed"], row["verdict"]) == ("1.80x", "1.8x", "reproduced")
    assert rows_of({"kernels": KERNELS}, "every thread counts")["verdict"].tolist() == ["not measurable here"]


def test_llama_takes_the_scaling_table_as_it_is() -> None:
    base = {"pattern": "2:4", "bits": 4, "family": "ours", "threads": 2, "source": "measured here", "context": 0}
    fpga = {"engine": "gemm", "rows": 8, "cols": 8, "family": None, "source": "modelled"}
    scaling = [
        {**base, "platform": "CPU", "speedup_vs_dense": 1.36},
        {**base, "platform": "FPGA", "speedup_vs_dense": 2.0, **fpga},
    ]
    rows = rows_of({"scaling": scaling}, "LLaMA-7B").set_index("platform")
    assert list(rows["verdict"]) == ["not measurable here", "reproduced", "exceeded"]
    assert list(rows["source"])[1:] == ["measured here", "modelled"]


def test_a_llama_decoded_as_a_whole_stands_against_bf16_and_the_peers() -> None:
    base = {"platform": "CPU", "device": "x", "threads": 2, "source": "measured here", "context": 512}
    scaling = [
        {**base, "pattern": "2:4", "bits": 4, "family": "ours", "kernel": "2:4-int4", "us_per_token": 50.0,
         "speedup_vs_dense": 1.3},
        {**base, "pattern": "dense", "bits": 4, "family": "ours", "kernel": "dense-int4", "us_per_token": 65.0},
        {**base, "pattern": "dense", "bits": 16, "family": "ours", "kernel": "dense-bf16", "us_per_token": 250.0,
         "us_of_2of4": 62.5},
        {**base, "pattern": "dense", "bits": 4, "family": "library", "kernel": "llamacpp-q4_0", "us_per_token": 90.0,
         "us_of_2of4": 50.0},
    ]  # fmt: skip
    far = [{**row, "context": 2048, "us_per_token": 1e3, "speedup_vs_dense": 9.0} for row in scaling]
    rows = rows_of({"scaling": scaling + far}, "LLaMA-7B")
    found = rows[rows["platform"].str.contains("context 512")]
    assert list(found["ours_value"]) == [1.3, 4.0, 1.8]  # each against the 2:4 of its own run
    assert list(found["baseline"])[1:] == ["dense bf16, same decoder", "llamacpp-q4_0"]
    assert not rows["platform"].str.contains("2048").any()


def test_generation_is_compared_with_every_library_of_its_run() -> None:
    base = {"model": "toy", "threads": 2, "run_id": "r", "family": "ours", "device": CPU, **WHERE}

    def row(candidate: str, us: float, **more: object) -> dict[str, object]:
        return {**base, "candidate": candidate, "context": 512, "median_us": us, "tokens_per_s": 1e6 / us, **more}

    decode = [
        row("sparse-a", 300.0), row("sparse-b", 200.0), row("dense-int4", 100.0),
        row("transformers-bf16", 1000.0, family="library"), row("llamacpp-gguf", 190.0, family="library"),
        row("sparse-b", 50.0, context=32), row("2:4-int4", 1.0, model="llama-7b"),
    ]  # fmt: skip
    points = [{"design_id": f"sparse-{name}", "pattern": "2:4", "bits": 4} for name in "ab"]
    accuracy = [{**point, "mode": "w4a8", "model": "toy", **WHERE} for point in points]
    rows = rows_of({"decode": decode, "accuracy": accuracy}, "generates text")
    assert list(rows["ours_value"]) == [5.0, 0.95] and list(rows["verdict"]) == ["exceeded", "reproduced"]
    assert rows["platform"].str.contains("sparse-b, context 512").all()
    assert "llamacpp-gguf" in rows["baseline"].iloc[1]
    assert list(rows_of({"accuracy": accuracy}, "generates text")["verdict"]) == ["not measurable here"]


def test_the_share_of_the_read_rate_is_that_of_one_run() -> None:
    read = kernel("read-2:4-int4", "roofline", "2:4", 4, 90.0, stage="read")
    rows = rows_of({"kernels": [*KERNELS, read]}, "rate of memory")
    assert list(rows["ours_value"]) == [0.9] and list(rows["verdict"]) == ["exceeded"]
    assert list(rows_of({"kernels": KERNELS}, "rate of memory")["verdict"]) == ["not measurable here"]


def fpga_rows(mismatches: int) -> list[dict[str, object]]:
    array = {"engine": "gemm", "window": 8, "lanes": 1, "rows": 8, "cols": 8}
    base = {**array, "stage": "rtl", "m": 8, "n": 8, "k": 64, **WHERE}
    seen = {"efficiency": 0.9, "outputs_compared": 64, "mismatches": 0}
    return [
        {**base, **seen, "pattern": "1:1", "cycles": 800},
        {**base, **seen, "pattern": "1:4", "cycles": 200},
        {**base, **seen, "pattern": "4:8", "cycles": 400, "mismatches": mismatches},
    ]


def test_patterns_beyond_2of4_need_exact_outputs_and_fewer_cycles_per_multiplier() -> None:
    rows = rows_of({"fpga": fpga_rows(0)}, "beyond 2:4")
    assert list(rows["ours_value"]) == [4.0, 2.0] and set(rows["verdict"]) == {"reproduced"}
    assert "0 of 64 outputs differ, 90% of ideal" in rows["ours"].iloc[0]
    assert list(rows_of({"fpga": fpga_rows(1)}, "beyond 2:4")["verdict"]) == ["reproduced", "not reached"]
    assert list(rows_of({"fpga": fpga_rows(0)[1:]}, "beyond 2:4")["verdict"]) == ["not measurable here"] * 2


def test_the_routed_gain_is_cycles_times_median_clock_and_per_lut() -> None:
    def run(pattern: str, window: int, cycles: int) -> dict[str, object]:
        return {**fpga_rows(0)[0], "pattern": pattern, "window": window, "cycles": cycles}

    def routed(window: int, mhz: float, lut: int, rows: int = 8, bits: int = 4) -> dict[str, object]:
        stage = {"engine": "device", "stage": "route", "lanes": 1, "rows": rows, "cols": 8, "pattern": "-"}
        return {**stage, "bits": bits, "window": window, "fmax_mhz": mhz, "lut": lut, **WHERE}

    rtl = [run("1:1", 1, 800), run("2:4", 4, 400)]
    clocks = [routed(1, mhz, 1000) for mhz in (100, 160, 200)] + [routed(4, mhz, 1100) for mhz in (90, 120, 150)]
    small = [routed(1, 500, 10, rows=4), routed(4, 1, 900, rows=4)]
    small.append(routed(1, 999, 1, bits=3))
    rows = rows_of({"fpga": [*rtl, *clocks, *small]}, "routed array")
    assert rows["ours_value"].iloc[0] == 2 * 120 / 160
    assert rows["ours"].iloc[0] == "1.50x faster, 1.36x per LUT (+10 % LUTs)"
    assert list(rows["verdict"]) == ["reproduced", "not measurable here"]


ACCURACY = {"model": "m", "mode": "w4a16", "tokens": 24576, "dataset": "text", "seqlen": 2048, **WHERE}


def point(design: str, pattern: str, bits: int, ppl: float, ratio: float) -> dict[str, object]:
    return {
        **ACCURACY, "design_id": design, "pattern": pattern, "bits": bits, "ppl": ppl,
        "ratio_to_dense": ratio, "bits_per_weight": 3.125,
    }  # fmt: skip


def test_the_papers_recipe_is_shown_as_it_comes_out() -> None:
    row = rows_of({"accuracy": [point("paper-2of4", "2:4", 4, 1.25e6, 6e4)]}, "paper's recipe").iloc[0]
    assert row["verdict"] == "not reached" and "1.25e+06" in row["ours"]
    good = rows_of({"accuracy": [point("paper-2of4", "2:4", 4, 40.0, 2.0)]}, "paper's recipe").iloc[0]
    assert good["verdict"] == "reproduced"


@pytest.mark.parametrize(("int3", "expected"), [(50.0, "exceeded"), (40.0, "reproduced"), (30.0, "not reached")])
def test_best_2of4_against_best_int3(int3: float, expected: str) -> None:
    accuracy = [
        point("paper-2of4", "2:4", 4, 1e6, 5e4),
        point("sparsegpt-2of4-int4", "2:4", 4, 40.0, 2.0),
        point("rtn-int3", "dense", 3, 99.0, 5.0),
        point("gptq-int3", "dense", 3, int3, 1.9),
    ]
    row = rows_of({"accuracy": accuracy}, "as accurate as its storage rival").iloc[0]
    assert row["verdict"] == expected and row["ours_value"] == int3 / 40
    assert row["platform"].startswith("sparsegpt-2of4-int4") and row["baseline"].startswith("gptq-int3")


def test_a_point_with_dense_layers_is_a_family_of_its_own() -> None:
    accuracy = [
        point("alps-2of4-int4", "2:4", 4, 40.0, 2.0),
        point("mixed-2of4-int4", "2:4+dense", 4, 25.0, 1.25),
        point("gptq-int3", "dense", 3, 30.0, 1.5),
    ]
    pure, mixed = rows_of({"accuracy": accuracy}, "as accurate as its storage rival").to_dict("records")
    assert pure["platform"].startswith("alps-2of4-int4") and pure["verdict"] == "not reached"
    assert mixed["platform"].startswith("mixed-2of4-int4") and mixed["verdict"] == "exceeded"
    assert rows_of({"accuracy": accuracy}, "2:4+dense INT4 keeps").iloc[0]["ours"] == "ppl 25 = 1.25x dense"


def test_the_best_point_of_each_family_meets_the_same_bar() -> None:
    accuracy = [
        point("rtn-int4", "dense", 4, 30.0, 1.5),
        point("qep-int4", "dense", 4, 21.0, 1.05),
        point("qep-2of4-int4", "2:4", 4, 41.0, 2.05),
    ]
    dense, sparse = (
        rows_of({"accuracy": accuracy}, f"{family} keeps").iloc[0] for family in ("dense INT4", "2:4 INT4")
    )
    assert dense["platform"].startswith("qep-int4") and dense["verdict"] == "reproduced"
    assert sparse["ours"] == "ppl 41 = 2.05x dense" and sparse["verdict"] == "not reached"


def test_equal_storage_rival_in_time() -> None:
    row = rows_of({"kernels": KERNELS}, "as fast as its storage rival").iloc[0]
    assert row["ours_value"] == 1.25 and row["baseline"] == "ours dense INT3 (ours-dense-int3)"


def test_coherence_sums_every_comparison() -> None:
    coherence = [
        {"design_id": "a", "backend": "cpu", "compared": 100, "mismatches": 0, **WHERE},
        {"design_id": "b", "backend": "cpu", "compared": 50, "mismatches": 0, **WHERE},
        {"design_id": "a", "backend": "rtl", "compared": 10, "mismatches": 1, **WHERE},
        {"design_id": "a", "backend": "rtl-text", "compared": 70, "mismatches": 0, **WHERE},
    ]
    rows = rows_of({"coherence": coherence}, "one arithmetic")
    assert list(rows["ours"]) == ["0 of 150 INT32 differ", "1 of 10 INT32 differ", "0 of 70 INT32 differ"]
    assert list(rows["verdict"]) == ["reproduced", "not reached", "reproduced"]
    assert [text.split(",")[0] for text in rows["baseline"]] == ["reference", "reference", "C++ kernel"]
    nothing = [{**row, "compared": 0} for row in coherence]
    assert set(rows_of({"coherence": nothing}, "one arithmetic")["verdict"]) == {"not measurable here"}


def test_source_reads_measured_here_on_the_same_host() -> None:
    table = ledger({"kernels": pd.DataFrame(KERNELS)}, here=CPU)
    measured = table[table["verdict"] != "not measurable here"]
    assert set(measured["source"]) == {"measured here"}


def test_texts_name_every_claim_and_fit_a_terminal() -> None:
    table = ledger({"kernels": pd.DataFrame(KERNELS)})
    plain = format_ledger(table, colour=False)
    assert "\x1b" not in plain and all(claim in plain for claim in table["claim"])
    assert all(plain.count(word) > 0 for word in VERDICTS)
    rows = [line for line in plain.splitlines() if "recorded on" not in line]
    assert max(map(len, rows)) <= 132
    assert "\x1b[32m" in format_ledger(table, colour=True)
    lines = markdown(table).splitlines()
    assert len(lines) == len(table) + 2 and all(line.count("|") == 8 for line in lines)


def test_no_colour_when_not_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b" not in format_ledger(ledger({}))


def test_the_ledger_replaces_the_marked_part_of_a_document() -> None:
    document = "# title\n<!-- ledger -->\nold\n<!-- end of ledger -->\nrest\n"
    wanted = "# title\n<!-- ledger -->\n\n| new |\n\n<!-- end of ledger -->\nrest\n"
    once = insert(document, "| new |\n", "README.md")
    assert once == wanted
    assert insert(once, "| new |\n", "README.md") == wanted
    with pytest.raises(NmforgeError, match=r"README.md has no ledger marks; add a line <!-- ledger -->"):
        insert("no marks", "| new |\n", "README.md")
