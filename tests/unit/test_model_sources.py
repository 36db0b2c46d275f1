"""Models from a local folder: safetensors only, and no code of the checkpoint runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from nmforge.errors import NmforgeError
from nmforge.models.sources import SOURCES, load_checkpoint, prepare_checkpoint


def local_folder(folder: Path) -> torch.nn.Module:
    """A checkpoint as users have it; returns its model."""
    model, tokenizer, _ = SOURCES["toy"]("toy", None, folder)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def test_a_local_folder_becomes_the_bf16_checkpoint(tmp_path: Path) -> None:
    source = local_folder(tmp_path / "mine")
    prepare_checkpoint(str(tmp_path / "mine"), None, tmp_path, tmp_path / "out")
    model, tokenizer, identity = load_checkpoint(tmp_path / "out")
    for name, weight in source.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight.bfloat16().float()), name
    assert tokenizer.decode(tokenizer("A word.")["input_ids"]) == "A word."
    assert identity["source"] == str(tmp_path / "mine")
    assert list(identity["sha256"]) == ["model.safetensors"]


def test_a_pickled_checkpoint_is_refused(tmp_path: Path) -> None:
    model = local_folder(tmp_path / "mine")
    (tmp_path / "mine" / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "mine" / "pytorch_model.bin")
    with pytest.raises(
        NmforgeError, match=r"model.source .* cannot be loaded .*name a folder with config.json and safe"
    ):
        prepare_checkpoint(str(tmp_path / "mine"), None, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_code_of_a_checkpoint_never_runs(tmp_path: Path) -> None:
    local_folder(tmp_path / "mine")
    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}}
    (tmp_path / "mine" / "config.json").write_text(json.dumps(config))
    (tmp_path / "mine" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(NmforgeError, match=r"model.source .* cannot be loaded"):
        prepare_checkpoint(str(tmp_path / "mine"), None, tmp_path, tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def test_a_missing_checkpoint_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(NmforgeError, match=r"checkpoint .*nothing is missing; make it with nmforge checkpoint"):
        load_checkpoint(tmp_path / "nothing")
