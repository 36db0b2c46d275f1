"""What each design point writes: the same prompt continued greedily by the C++ decoder."""

from __future__ import annotations

from pathlib import Path

from nmforge.artifact.header import read_header
from nmforge.config import SampleConfig
from nmforge.io.records import write_point
from nmforge.runtime.continuation import GenerationSettings
from nmforge.runtime.native_text import generate_native


def write_sample(artifact: Path, settings: SampleConfig, model: str, threads: int, out: Path) -> None:
    """Write the `samples` row of one artifact: its text, and whether the model ended it or the limit did."""
    made = generate_native(artifact, settings.prompt, GenerationSettings(settings.tokens, threads=threads))
    header = read_header(artifact)
    row = {
        "design_id": header["design"]["id"],
        "model": model,
        "mode": "w4a8" if header["layers"] else "bf16",
        "prompt": settings.prompt,
        "text": made.text,
        "tokens": len(made.token_ids),
        "ended": len(made.token_ids) < settings.tokens,
    }
    write_point(out, "samples", [row])
