"""Claim `decode_speed`: generation against every library of the same run."""

from __future__ import annotations

from factories.ledgers import entries_of
from factories.rows import accuracy_row, decode_row


def test_generation_is_compared_with_every_library_of_its_run() -> None:
    decode = [
        decode_row("sparse-a", 300.0), decode_row("sparse-b", 200.0), decode_row("dense-int4", 100.0),
        decode_row("transformers-bf16", 1000.0, family="library"), decode_row("llamacpp-gguf", 190.0, family="library"),
        decode_row("sparse-b", 50.0, context=32), decode_row("2:4-int4", 1.0, model="llama-7b"),
    ]  # fmt: skip
    accuracy = [accuracy_row(f"sparse-{name}", "2:4", 4, 40.0, 2.0, mode="w4a8", model="toy") for name in "ab"]
    rows = entries_of("decode_speed", decode=decode, accuracy=accuracy)
    assert list(rows["ours_value"]) == [5.0, 0.95] and list(rows["verdict"]) == ["exceeded", "reproduced"]
    assert rows["platform"].str.contains("sparse-b, context 512").all()
    assert "llamacpp-gguf" in rows["baseline"].iloc[1]
    assert list(entries_of("decode_speed", accuracy=accuracy)["verdict"]) == ["not measurable here"]
