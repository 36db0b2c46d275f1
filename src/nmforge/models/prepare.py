"""Every source of a checkpoint ends as one local folder of bf16 safetensors with its tokenizer and `source.json`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from nmforge.core.errors import NmforgeError
from nmforge.io.hashing import sha256_file
from nmforge.models.sources.registry import REGISTRY, CheckpointRequest


def prepare_checkpoint(source: str, revision: str | None, cache: Path, out: Path, blocks: int | None = None) -> None:
    """Write the checkpoint as a local folder `out`: bf16 safetensors, tokenizer, and source.json with its hashes.

    source: a registered name, a local folder or a Hugging Face id. blocks: how many of its blocks a source with
    `takes_blocks` has, None for all; raises NmforgeError for any other source.
    """
    if blocks is not None and not (source in REGISTRY and REGISTRY.get(source).takes_blocks):
        able = " or ".join(entry.name for entry in REGISTRY if entry.takes_blocks)
        raise NmforgeError(f"model.blocks is for source {able}, model.source is {source!r}; remove model.blocks")
    temporary = out.with_name(f".{out.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    found = _write(source, CheckpointRequest(temporary, cache, revision, blocks))
    shards = sorted(temporary.glob("*.safetensors"))
    identity = {"source": source, "revision": found, "sha256": {p.name: sha256_file(p) for p in shards}}
    (temporary / "source.json").write_text(json.dumps(identity, indent=1) + "\n")
    shutil.rmtree(out, ignore_errors=True)
    temporary.replace(out)


def _write(source: str, request: CheckpointRequest) -> str:
    """Fill the folder of the request; returns the checkpoint's revision."""
    if source in REGISTRY:
        return REGISTRY.get(source).write(request)
    from nmforge.models.convert import convert

    return convert(source, request.revision, request.folder)


def gguf_of(source: str, cache: Path) -> Path | None:
    """The GGUF file a model came from; None where it came from elsewhere."""
    fetch = REGISTRY.get(source).gguf if source in REGISTRY else None
    return fetch(cache) if fetch else None
