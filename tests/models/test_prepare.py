"""Models from a local folder: safetensors only, and no code of the checkpoint runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from nmforge.core.errors import NmforgeError
from nmforge.models import checkpoint_writer as shard_writer
from nmforge.models import random_llama
from nmforge.models.byte_tokenizer import byte_tokenizer
from nmforge.models.checkpoint import INDEX, open_shards, tensor_names, verify_shards
from nmforge.models.load import load_checkpoint
from nmforge.models.prepare import prepare_checkpoint
from nmforge.models.sources.toy import toy_model


def local_folder(folder: Path) -> torch.nn.Module:
    """A checkpoint as users have it; returns its model."""
    model, tokenizer = toy_model(), byte_tokenizer()
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


def small_llama(monkeypatch: pytest.MonkeyPatch) -> None:
    """LLaMA-7B's architecture at sizes of a test, in shards of at most 40 kB."""
    sizes = {"vocab_size": 300, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
    monkeypatch.setattr(random_llama, "LLAMA_7B", random_llama.LLAMA_7B | sizes | {"num_key_value_heads": 4})
    monkeypatch.setattr(shard_writer, "SHARD_BYTES", 40_000)


def test_the_random_llama_has_the_shapes_asked_for_and_the_same_bytes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert random_llama.llama_7b(2).intermediate_size == 11008
    small_llama(monkeypatch)
    for name, blocks in (("a", 2), ("b", 2), ("c", 3)):
        prepare_checkpoint("llama7b-random", None, tmp_path, tmp_path / name, blocks)
    identity = verify_shards(tmp_path / "a")
    assert identity == verify_shards(tmp_path / "b")
    assert len(identity["sha256"]) > 1
    assert all((tmp_path / "a" / name).stat().st_size < 45_000 for name in identity["sha256"])
    model = load_checkpoint(tmp_path / "a")[0]  # transformers reads the shards by the index
    shards, longer = open_shards(tmp_path / "a"), open_shards(tmp_path / "c")
    assert sorted(tensor_names(model)) == sorted(shards.tensors)
    for name, weight in model.state_dict().items():
        assert torch.equal(shards.read(name).float(), weight), name
        assert torch.equal(longer.read(name).float(), weight), name
        assert weight.dim() == 1 or 0.015 < float(weight.std()) < 0.025
    assert not torch.equal(*(shards.read(f"model.layers.{index}.self_attn.q_proj.weight") for index in (0, 1)))
    with pytest.raises(NmforgeError, match=r"model.blocks is for source llama7b-random, model.source is 'toy'; remove"):
        prepare_checkpoint("toy", None, tmp_path, tmp_path / "d", 2)


def test_a_sharded_local_folder_is_converted_tensor_by_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_llama(monkeypatch)
    prepare_checkpoint("llama7b-random", None, tmp_path, tmp_path / "mine", 2)
    monkeypatch.setattr(shard_writer, "SHARD_BYTES", 1 << 30)
    prepare_checkpoint(str(tmp_path / "mine"), None, tmp_path, tmp_path / "out")
    one, many = load_checkpoint(tmp_path / "out")[0].state_dict(), load_checkpoint(tmp_path / "mine")[0].state_dict()
    assert list(verify_shards(tmp_path / "out")["sha256"]) == ["model.safetensors"]
    assert one.keys() == many.keys()
    assert all(torch.equal(one[name], many[name]) for name in one)


def test_shards_that_are_missing_truncated_or_short_of_a_tensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_llama(monkeypatch)
    prepare_checkpoint("llama7b-random", None, tmp_path, tmp_path / "mine", 2)
    shard = sorted((tmp_path / "mine").glob("*.safetensors"))[1]
    whole, index = shard.read_bytes(), json.loads((tmp_path / "mine" / INDEX).read_text())
    shard.write_bytes(whole[:-1])
    with pytest.raises(NmforgeError, match=r"checkpoint shard .*model-00002-of-.*\.safetensors is truncated or not"):
        open_shards(tmp_path / "mine")
    shard.unlink()
    with pytest.raises(
        NmforgeError, match=r"checkpoint shard .*model-00002-of-.*\.safetensors is missing; make or down"
    ):
        open_shards(tmp_path / "mine")
    with pytest.raises(NmforgeError, match=r"model.source .* cannot be loaded \(checkpoint shard .*is missing"):
        prepare_checkpoint(str(tmp_path / "mine"), None, tmp_path, tmp_path / "out")
    index["weight_map"] = {name: file for name, file in index["weight_map"].items() if file != shard.name}
    (tmp_path / "mine" / INDEX).write_text(json.dumps(index))
    with pytest.raises(NmforgeError, match=r"checkpoint .*mine has no tensor model\.layers\."):
        prepare_checkpoint(str(tmp_path / "mine"), None, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
