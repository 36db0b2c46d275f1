"""Claim `coherence`: every comparison is counted."""

from __future__ import annotations

from factories.ledgers import entries_of
from factories.rows import coherence_row


def test_coherence_sums_every_comparison() -> None:
    coherence = [
        coherence_row("a", "cpu", 100), coherence_row("b", "cpu", 50), coherence_row("a", "rtl", 10, 1),
        coherence_row("a", "rtl-text", 70),
    ]  # fmt: skip
    rows = entries_of("coherence", coherence=coherence)
    assert list(rows["ours"]) == ["0 of 150 INT32 differ", "1 of 10 INT32 differ", "0 of 70 INT32 differ"]
    assert list(rows["verdict"]) == ["reproduced", "not reached", "reproduced"]
    assert [text.split(",")[0] for text in rows["baseline"]] == ["reference", "reference", "C++ kernel"]
    nothing = [{**row, "compared": 0} for row in coherence]
    assert set(entries_of("coherence", coherence=nothing)["verdict"]) == {"not measurable here"}
