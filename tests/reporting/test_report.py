"""The report of a run: every number at its place, text shown as it is."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from nmforge.reporting.ledger import ledger
from nmforge.reporting.report import report


def sample_rows() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"design_id": "dense-bf16", "prompt": "Two *towers*", "text": " stand\nhere | there", "ended": False},
            {"design_id": "sparse", "prompt": "Two *towers*", "text": " fall.", "ended": True},
        ]
    )


def accuracy_rows() -> pd.DataFrame:
    common = {
        "model": "m", "host": "h", "date": "2026-01-02", "tokens": 24564, "dataset": "text", "seqlen": 2048
    }  # fmt: skip
    dense = {"design_id": "dense-bf16", "mode": "bf16", "ppl": 18.114, "ratio_to_dense": 1.0, "kl": None}
    sparse = {"design_id": "sparse", "mode": "w4a8", "ppl": 2796000.0, "ratio_to_dense": 154355.9, "kl": 0.71249}
    rest = [
        {"top1_agreement": None, "compared_tokens": 0, "bits_per_weight": 16.0},
        {"top1_agreement": 0.6054, "compared_tokens": 3072, "bits_per_weight": 2.8241},
    ]
    return pd.DataFrame([common | dense | rest[0], common | sparse | rest[1]])


def test_the_page_has_the_numbers_of_the_tables() -> None:
    tables = {"accuracy": accuracy_rows(), "samples": sample_rows(), "claims": ledger({})}
    page = report(tables, [Path("../paper_figures/storage.png")])
    assert page.startswith("# m, measured on h, 2026-01-02\n")
    assert "| dense-bf16 | bf16 | 18.11 | 1.000 | - | - | 16.000 |" in page
    assert "| sparse | W4A8 | 2,796,000.00 | 154,355.900 | 0.712 | 60.5% | 2.824 |" in page
    assert "24,564 tokens of text in sequences of 2048" in page and "on 3,072 of them." in page
    assert "\u201cTwo \\*towers\\*\u201d" in page
    assert "> stand here \\| there \u2026\n" in page and "> fall.\n" in page
    assert "![storage](../paper_figures/storage.png)" in page
