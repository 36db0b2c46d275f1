"""Block-wise reconstruction: blocks end closer to the dense ones, and a stopped run resumes after its last block."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nmforge.artifact.format import load_linears
from nmforge.artifact.header import read_header
from nmforge.cli import main
from nmforge.compression.run import compress_checkpoint
from nmforge.config import CalibrationConfig, RecoveryConfig
from nmforge.core.design import DesignPoint
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.evaluation.layer_errors import compare_models
from nmforge.io.hashing import sha256_file
from nmforge.models.load import load_checkpoint
from nmforge.recovery import blockwise as reconstruct
from nmforge.recovery.blockwise import reconstruct_artifact, relative_error
from nmforge.recovery.data import training_sequences
from nmforge.runtime.torch_model import load_packed

pytestmark = pytest.mark.slow

SETTINGS = RecoveryConfig(start="x", scope="block", steps=24, batch=2, seqlen=32, learning_rate=3e-3)


def run(folder: Path, out: Path, settings: RecoveryConfig = SETTINGS, memory_gb: float = 1) -> int:
    return reconstruct_artifact(
        folder / "checkpoint", folder / "start", folder / "tokens", "blocks", settings, memory_gb, out
    )


def test_the_error_is_that_of_each_token_to_its_own_size_and_of_all_to_theirs() -> None:
    wanted = torch.tensor([[[3.0, 4.0], [0.3, 0.4]]])
    outputs = torch.tensor([[[3.0, 5.0], [0.3, 0.4]]])
    assert float(relative_error(outputs, wanted)) == pytest.approx((1 / 25 + 0) / 2 + 1 / 25.25)


def test_blocks_end_closer_to_the_dense_model_and_keep_masks_and_scales(start: Path) -> None:
    assert run(start, start / "blocks") == 0
    before, after = load_linears(start / "start"), load_linears(start / "blocks")
    for name, linear in after.items():
        for part in ("keep_mask", "row_scale", "group_mult"):
            assert (getattr(linear, part) == getattr(before[name], part)).all()
        assert (linear.codes != before[name].codes).any()
    checkpoint, rest = load_checkpoint(start / "checkpoint")[0], load_file(start / "blocks")
    name = "model.layers.1.post_attention_layernorm"
    assert (rest[f"{name}.weight"] != checkpoint.get_submodule(name).weight).any()
    assert torch.equal(rest["model.norm.weight"].float(), checkpoint.model.norm.weight)
    sequences = training_sequences(start / "checkpoint", start / "tokens", SETTINGS, None)[0][:8]
    errors = {}
    for which in ("start", "blocks"):
        compressed = load_packed(start / which, "w4a16", torch.float32, 1)
        errors[which] = compare_models(compressed, checkpoint, sequences)
    for block in ("model.layers.0", "model.layers.1"):
        found, first = (errors[which][block].columns()["output_error"] for which in ("blocks", "start"))
        assert found < 0.85 * first
    assert read_header(start / "blocks")["recovery"]["scope"] == "block"


def test_a_stopped_run_ends_in_the_same_bytes(start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(start, tmp_path / "whole")
    (tmp_path / "again").mkdir()
    out, train = tmp_path / "again" / "whole", reconstruct._train

    def stop(job: reconstruct.Job, index: int, *others: object) -> None:
        if index == 1:
            raise KeyboardInterrupt
        train(job, index, *others)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(reconstruct, "_train", stop)
        run(start, out)
    with pytest.raises(NmforgeError, match=r"other settings \(recovery\); remove it to start over"):
        run(start, out, SETTINGS.model_copy(update={"learning_rate": 1e-3}))
    assert run(start, out, memory_gb=0) == 1  # where activations are kept changes no byte
    assert out.read_bytes() == (tmp_path / "whole").read_bytes()
    assert list(out.parent.iterdir()) == [out]


def test_a_start_that_cannot_be_trained(start: Path, tmp_path: Path) -> None:
    point, dense = DesignPoint("dense", Pattern(1, 1), "none", "none", 16, 0), tmp_path / "dense"
    compress_checkpoint(start / "checkpoint", start / "tokens", point, CalibrationConfig(), "bitmask", dense)
    inputs = start / "tokens", "d", SETTINGS, 1, tmp_path / "out"
    with pytest.raises(NmforgeError, match="dense has no compressed layer to train; start from a compressed design"):
        reconstruct_artifact(start / "checkpoint", dense, *inputs)
    other = tmp_path / "checkpoint"
    shutil.copytree(start / "checkpoint", other)
    shard = other / "model.safetensors"
    weights = load_file(shard)
    weights["model.norm.weight"] *= 2
    save_file(weights, shard, {"format": "pt"})
    identity = json.loads((other / "source.json").read_text())
    identity["sha256"] = {shard.name: sha256_file(shard)}
    (other / "source.json").write_text(json.dumps(identity))
    with pytest.raises(NmforgeError, match=r"start is not of checkpoint .*; name the one it was made from"):
        reconstruct_artifact(other, start / "start", *inputs)


def test_another_seed_trains_on_other_sequences(start: Path) -> None:
    few = SETTINGS.model_copy(update={"seqlen": 16})
    chosen = [
        training_sequences(start / "checkpoint", start / "tokens", few.model_copy(update={"seed": seed}), most=8)[0]
        for seed in (0, 1)
    ]
    assert [sequences.shape for sequences in chosen] == [(8, 16), (8, 16)]
    assert (chosen[0] != chosen[1]).any()


def test_self_written_text_is_not_for_blocks(start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {
        "model": {"name": "toy", "source": "toy"},
        "text": {"source": "wikipedia-wheel"},
        "designs": [
            {"id": "d"},
            {"id": "a", "quantizer": "rtn", "bits": 4},
            {"id": "b", "recovery": {"start": "a", "scope": "block", "steps": 1}},
        ],
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    words = f"--config {tmp_path}/config.yaml recover {start}/start --design b --self-generated x --out {tmp_path}/out"
    assert main(words.split()) == 2
    assert capsys.readouterr().err == "nmforge recover: --self-generated is for recovery.scope model; leave it out\n"
