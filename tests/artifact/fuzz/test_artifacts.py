"""Damaged artifacts are refused with a sentence or do no harm: never a crash, a hang or another exception."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from artifact.fuzz.artifact_fuzz import BASES, Parts, put_together, take_apart, use
from factories.toy_artifacts import random_model

from nmforge.core.errors import NmforgeError

UP = "model.layers.0.mlp.up_proj"
NORM = "model.norm.weight"
TESTS = Path(__file__).parents[2]
COUNT = int(os.environ.get("NMFORGE_FUZZ", "1000"))


@pytest.mark.slow
def test_damaged_artifacts_do_no_harm() -> None:
    run = [sys.executable, "-m", "artifact.fuzz.artifact_fuzz", "0", str(COUNT)]
    done = subprocess.run(run, check=False, capture_output=True, text=True, timeout=60 + COUNT, cwd=TESTS)
    *seeds, last = done.stdout.splitlines() or ["none"]
    assert done.returncode == 0, f"seed {last}: {done.stderr[-3000:]}"
    ends = json.loads(last)
    assert len(seeds) == sum(ends.values()) == COUNT
    assert len(ends) > 20 and ends["unharmed"] < COUNT / 2  # many checks were reached


def edit(path: Path, change: Callable[[Parts], Any]) -> None:
    """Change a file whose hashes are made right again."""
    parts = take_apart(path.read_bytes())
    change(parts)
    path.write_bytes(put_together(parts, mend=True))


def layer(**fields: object) -> Callable[[Parts], Any]:
    return lambda parts: parts.header["layers"][UP].update(fields)


def config(**fields: object) -> Callable[[Parts], Any]:
    return lambda parts: parts.header["model"]["config"].update(fields)


def tensor(name: str, dtype: str, shape: list[int], data: bytes) -> Callable[[Parts], Any]:
    return lambda parts: parts.tensors.update({name: (dtype, shape, data)})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: p.header.pop("format_version"), "has format version None, this nmforge reads 1; compress it again"),
        (lambda p: p.header.pop("tensors"), "header field tensors is missing or malformed; compress it again"),
        (layer(bits="4"), "header field layers is missing or malformed; compress it again"),
        (layer(k=2**40), "header field layers is missing or malformed; compress it again"),
        (layer(n=95), rf"{UP}\.codes is U8 \[96, 8\] where the header has U8 \[95, 8\]; compress it again"),
        (layer(k=96), rf"{UP}\.codes is U8 \[96, 8\] where the header has U8 \[96, 16\]; compress it again"),
        (layer(group_size=7), "group_size 7 does not divide K = 48 of the layer; choose a divisor of 48"),
        (lambda p: p.tensors.pop(f"{UP}.row_scale"), rf"lacks tensor {UP}\.row_scale; compress it again"),
        (lambda p: p.header["tensors"].pop(f"{UP}.codes"), rf"tensor {UP}\.codes is missing; compress it again"),
        (
            tensor(f"{UP}.indices", "U8", [96, 6], b"\xff" * 576),
            "an offset leaves its window of 6; compress this layer",
        ),
        (
            tensor(f"{UP}.indices", "U8", [96, 6], bytes(576)),
            "indices do not keep 2 in every window; compress this layer",
        ),
        (
            tensor(NORM, "BF16", [2, 24], bytes(96)),
            rf"{NORM} is \[2, 24\] where the model config has \[48\]; compress it",
        ),
        (tensor(NORM, "I64", [48], bytes(384)), "a tensor of type I64 cannot be a weight; compress the model again"),
        (lambda p: p.header["model"].pop("config"), "its header has no model config; compress the checkpoint again"),
        (config(vocab_size=None), r"model config vocab_size = None must be an integer from 1 to 2\^31-1; compress"),
        (config(rms_norm_eps=float("nan")), "model config rms_norm_eps = nan is out of range; compress the checkpoint"),
        (config(rope_parameters=3), "model config rope_parameters = 3 must be a table; compress the checkpoint again"),
    ],
)
def test_error_messages_of_damaged_fields(tmp_path: Path, change: Callable[[Parts], Any], sentence: str) -> None:
    path = tmp_path / "a.nmf.safetensors"
    random_model(path, BASES[0])
    edit(path, change)
    with pytest.raises(NmforgeError, match=sentence) as caught:
        use(path, random.Random(0))
    assert str(path) in str(caught.value)
