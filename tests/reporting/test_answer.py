"""The answer of a run: one effect a row, at most eight rows, and a sentence that the rows support."""

from __future__ import annotations

import pandas as pd
from factories.ledgers import KERNELS, entries_of
from factories.rows import accuracy_row, kernel_row

from nmforge.reporting.answer import answer_markdown, answer_text, conclusion, headlines
from nmforge.reporting.ledger import ledger

ACCURACY = [
    accuracy_row("int3", "1:1", 3, 30.0, 1.6, bits_per_weight=3.17),
    accuracy_row("sparse", "2:4", 4, 53.0, 2.8, bits_per_weight=2.82),
]


def run_of(kernels: list[dict[str, object]]) -> pd.DataFrame:
    return ledger({"kernels": pd.DataFrame(kernels), "accuracy": pd.DataFrame(ACCURACY)})


def test_a_run_has_one_row_for_a_claim_and_at_most_eight() -> None:
    rows = headlines(run_of(KERNELS))
    assert 0 < len(rows) <= 8 and rows["claim"].is_unique
    assert not rows["baseline"].str.contains("library").any()  # another precision or kernel would be a second effect


def test_the_sentence_says_where_2of4_pays_and_what_it_costs() -> None:
    sentence = conclusion(run_of(KERNELS))
    assert "2:4 pays (1.71x for a matmul on CPU at M=1" in sentence
    assert (
        "less accurate than dense INT3 of the same storage (ppl 53 at 2.82 b/w; int3, ppl 30 at 3.17 b/w)" in sentence
    )


def test_a_gain_that_repeats_do_not_support_is_not_said_to_pay() -> None:
    noisy = [row | {"spread_us": row["median_us"] / 2, "repeats": 3} for row in KERNELS]
    sentence = conclusion(run_of(noisy))
    assert "its gain is within noise (1.71x" in sentence and "2:4 pays" not in sentence


def test_a_slower_gpu_is_told_too() -> None:
    gpu = {"device": "cuda: NVIDIA H200", "run_id": "g"}
    more = [
        kernel_row("gpu-dense", "nmforge", "dense", 4, 10.0, **gpu),
        kernel_row("gpu-sparse", "nmforge", "2:4", 4, 20.0, **gpu),
    ]
    assert "it does not pay (0.50x for a matmul on GPU at M=1" in conclusion(run_of(KERNELS + more))


def test_the_answer_fits_a_terminal() -> None:
    text = answer_text(run_of(KERNELS))
    assert max(map(len, text.splitlines())) <= 80
    assert "1.71x faster matmul" in text and "within noise" not in text


def test_the_markdown_names_baseline_and_source_of_each_row() -> None:
    page = answer_markdown(run_of(KERNELS))
    assert "against ours dense INT4 (ours-dense-int4)" in page and "recorded on" in page


def test_a_run_without_a_claim_says_so() -> None:
    nothing = entries_of("matmul", kernels=[])
    assert answer_text(nothing) == "This run measured no claim of the paper by one effect."
    assert conclusion(nothing) == "No run compared 2:4 with dense INT4."
