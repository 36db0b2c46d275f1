"""Compression block by block: interrupted anywhere it ends in the same bytes, and bad input spares finished blocks."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from nmforge.compression import blockwise, checkpoints
from nmforge.compression.activation_store import ActivationStore
from nmforge.compression.calibration.activation_cache import ActivationCache, SpilledActivationCache
from nmforge.compression.checkpoints import state_folder
from nmforge.compression.run import compress_checkpoint
from nmforge.config import CalibrationConfig
from nmforge.core.design import DesignPoint
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.data.corpora.registry import Documents
from nmforge.data.tokens import write_tokens
from nmforge.io import provenance, safetensors_stream
from nmforge.io.hashing import sha256_file
from nmforge.models.load import load_tokenizer
from nmforge.models.prepare import prepare_checkpoint

pytestmark = pytest.mark.slow

POINT = DesignPoint("point", Pattern(2, 4), "sparsegpt", "gptq", 4, 32, "dense")
MEMORY = CalibrationConfig(tokens=256, seqlen=64)
FILES = CalibrationConfig(tokens=256, seqlen=64, memory_gb=0)
EITHER = pytest.mark.parametrize("calibration", [MEMORY, FILES], ids=["memory", "files"])


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a toy checkpoint, tokens, and the artifact of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("inputs")
    prepare_checkpoint("toy", None, folder, folder / "checkpoint")
    text = ["".join(chr(97 + (i * j) % 26) for i in range(200)) for j in range(1, 9)]
    write_tokens(Documents(text, text[:1], "r"), load_tokenizer(folder / "checkpoint"), folder / "tokens")
    compress(folder, folder / "whole", MEMORY)
    assert not state_folder(folder / "whole").exists()
    return folder


def compress(inputs: Path, out: Path, calibration: CalibrationConfig, checkpoint: str = "checkpoint") -> Any:
    return compress_checkpoint(inputs / checkpoint, inputs / "tokens", POINT, calibration, "enumerative", out)


def raising_at(call: int, original: Callable[..., Any], error: BaseException) -> Callable[..., Any]:
    """`original`, which raises `error` in place of its call number `call`, counted from 0."""
    left = iter(range(call))

    def wrapped(*arguments: Any, **named: Any) -> Any:
        if next(left, None) is None:
            raise error
        return original(*arguments, **named)

    return wrapped


PLACES = {  # where a run is interrupted: (module, function, number of its call, blocks finished by then)
    "walking block 0": (blockwise, "walk_block", 0, 0),
    "finishing block 0": (blockwise, "finish_block", 0, 0),
    "writing block 0": (checkpoints, "write_tensors", 0, 0),
    "walking block 1": (blockwise, "walk_block", 1, 1),
    "writing block 1": (checkpoints, "write_tensors", 1, 1),
    "writing the artifact": (safetensors_stream, "_write", 2, 2),
}


@EITHER
@pytest.mark.parametrize("place", PLACES)
def test_an_interrupted_run_ends_in_the_same_bytes(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, calibration: CalibrationConfig
) -> None:
    module, function, call, finished = PLACES[place]
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(module, function, raising_at(call, getattr(module, function), KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            compress(inputs, out, calibration)
    assert not out.exists()
    summary = compress(inputs, out, calibration)
    assert (summary.blocks, summary.resumed) == (2, finished)
    assert out.read_bytes() == (inputs / "whole").read_bytes()
    assert list(tmp_path.iterdir()) == [out]


KILLED = """
import sys, time, torch
from pathlib import Path
import {module} as module
from nmforge.config import CalibrationConfig
from test_checkpoints import compress
torch.set_num_threads({threads})
original, left = module.{function}, iter(range({call}))
def stop(*arguments):
    if next(left, None) is None:
        {before}
        print("here", flush=True)
        time.sleep(60)
    return original(*arguments)
module.{function} = stop
compress(Path({inputs!r}), Path({out!r}), CalibrationConfig(tokens=256, seqlen=64, memory_gb={memory}))
"""
HALF_WRITTEN = 'arguments[0].write_bytes(b"half")'  # of the file that a write was asked for


@EITHER
@pytest.mark.parametrize(
    ("module", "function", "call", "before", "finished"),
    [
        ("nmforge.compression.blockwise", "walk_block", 1, "pass", 1),
        ("nmforge.io.safetensors_stream", "_write", 0, HALF_WRITTEN, 0),
        ("nmforge.io.safetensors_stream", "_write", 1, HALF_WRITTEN, 1),
        ("nmforge.io.safetensors_stream", "_write", 2, HALF_WRITTEN, 2),
    ],
)
def test_a_killed_process_ends_in_the_same_bytes(
    inputs: Path, tmp_path: Path, module: str, function: str, call: int, before: str, finished: int,
    calibration: CalibrationConfig,
) -> None:  # fmt: skip
    out = tmp_path / "out"
    script = KILLED.format(
        module=module, function=function, call=call, before=before, inputs=str(inputs), out=str(out),
        memory=calibration.memory_gb, threads=torch.get_num_threads(),
    )  # fmt: skip
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "here\n", child.stderr.read() if child.stderr else ""
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert not out.exists()
    assert compress(inputs, out, calibration).resumed == finished
    assert out.read_bytes() == (inputs / "whole").read_bytes()
    assert list(tmp_path.iterdir()) == [out]


def interrupted(inputs: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state of a run stopped after its first block."""
    with monkeypatch.context() as patch:
        patch.setattr(blockwise, "walk_block", raising_at(1, blockwise.walk_block, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            compress(inputs, out, MEMORY)
    return state_folder(out)


def test_the_state_of_other_settings(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = interrupted(inputs, tmp_path / "out", monkeypatch)
    before = sorted(folder.iterdir())
    other = MEMORY.model_copy(update={"seed": 1})
    sentence = r"\.out\.blocks belongs to a run with other settings \(calibration, sequences\); remove it to star"
    with pytest.raises(NmforgeError, match=sentence):
        compress(inputs, tmp_path / "out", other)
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "commit", lambda: "another")
        with pytest.raises(NmforgeError, match=r"other settings \(commit\); remove it"):
            compress(inputs, tmp_path / "out", MEMORY)
    assert sorted(folder.iterdir()) == before
    assert compress(inputs, tmp_path / "out", FILES).resumed == 1  # where activations are kept changes no byte
    assert (tmp_path / "out").read_bytes() == (inputs / "whole").read_bytes()


def test_an_altered_state(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = interrupted(inputs, tmp_path / "out", monkeypatch)
    hidden = folder / "hidden-001.f32"
    whole = hidden.read_bytes()
    hidden.write_bytes(whole[:-1])
    with pytest.raises(NmforgeError, match=r"hidden-001\.f32 is missing or truncated; remove .*\.out\.blocks to start"):
        compress(inputs, tmp_path / "out", MEMORY)
    hidden.write_bytes(whole)
    block = folder / "block-000.safetensors"
    data = block.read_bytes()
    block.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(NmforgeError, match=r"block-000\.safetensors: tensor .* is altered \(sha256 differs\); remove"):
        compress(inputs, tmp_path / "out", MEMORY)
    assert not (tmp_path / "out").exists()


def fails_full(monkeypatch: pytest.MonkeyPatch, inputs: Path, out: Path, calibration: CalibrationConfig) -> None:
    with monkeypatch.context() as patch:
        full = OSError(errno.ENOSPC, "No space left on device")
        if calibration is MEMORY:  # in the layers of block 1
            patch.setattr(safetensors_stream, "_write_one", raising_at(30, safetensors_stream._write_one, full))
        else:  # in its activations
            patch.setattr(ActivationStore, "allocate", on_a_full_disk(9))
        with pytest.raises(
            NmforgeError, match=r"\.out\.blocks/.* cannot be written, the disk is full; free space ther"
        ):
            compress(inputs, out, calibration)


def on_a_full_disk(call: int) -> Callable[[ActivationStore, int, Path], ActivationCache]:
    """A cache, from call number `call` on in a file that takes no byte."""
    original, left = ActivationStore.allocate, iter(range(call))

    def made(store: ActivationStore, width: int, file: Path) -> ActivationCache:
        cache = original(store, width, file)
        if next(left, None) is None:
            assert isinstance(cache, SpilledActivationCache)
            cache.path.unlink()
            cache.path.symlink_to("/dev/full")
        return cache

    return made


@EITHER
def test_a_full_disk_spares_finished_blocks(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calibration: CalibrationConfig
) -> None:
    out = tmp_path / "out"
    fails_full(monkeypatch, inputs, out, calibration)
    assert not out.exists()
    assert compress(inputs, out, calibration).resumed == 1
    assert out.read_bytes() == (inputs / "whole").read_bytes()


def damaged(inputs: Path, tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    """The inputs with other weights, hashed as if they had been so from the start."""
    shutil.copytree(inputs, tmp_path / "inputs")
    shard = tmp_path / "inputs" / "checkpoint" / "model.safetensors"
    weights = load_file(shard)
    change(weights)
    save_file(weights, shard, {"format": "pt"})
    identity = json.loads((shard.parent / "source.json").read_text())
    identity["sha256"] = {shard.name: sha256_file(shard)}
    (shard.parent / "source.json").write_text(json.dumps(identity))
    return tmp_path / "inputs"


@pytest.mark.parametrize(
    ("tensor", "sentence"),
    [
        (
            "mlp.up_proj",
            r"model\.safetensors: model\.layers\.1\.mlp\.up_proj: its weights are not finite; check the ch",
        ),
        (
            "input_layernorm",
            r"model\.safetensors: model\.layers\.1\.self_attn\.q_proj: its inputs are not finite; check",
        ),
    ],
)
def test_numbers_that_are_not_finite(inputs: Path, tmp_path: Path, tensor: str, sentence: str) -> None:
    def poison(weights: dict[str, torch.Tensor]) -> None:
        weights[f"model.layers.1.{tensor}.weight"].view(-1)[7] = torch.nan

    made = damaged(inputs, tmp_path, poison)
    for _ in range(2):
        with pytest.raises(NmforgeError, match=sentence):
            compress(made, tmp_path / "out", MEMORY)
        assert (state_folder(tmp_path / "out") / "block-000.safetensors").exists()
    assert not (tmp_path / "out").exists()


def test_a_shard_that_is_altered_or_missing(inputs: Path, tmp_path: Path) -> None:
    shutil.copytree(inputs, tmp_path / "inputs")
    shard = tmp_path / "inputs" / "checkpoint" / "model.safetensors"
    data = shard.read_bytes()
    shard.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(NmforgeError, match=r"checkpoint shard .*model\.safetensors is altered \(sha256 differs from s"):
        compress(tmp_path / "inputs", tmp_path / "out", MEMORY)
    shard.unlink()
    with pytest.raises(NmforgeError, match=r"checkpoint shard .*model\.safetensors is missing; make it again with nmf"):
        compress(tmp_path / "inputs", tmp_path / "out", MEMORY)
    assert [path.name for path in tmp_path.iterdir()] == ["inputs"]
