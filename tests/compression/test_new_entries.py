"""A pruner and a quantizer are one new file each: a config names them, and an artifact holds what they did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from factories.one_new_file import run_with_files

from nmforge.artifact.format import load_linears
from nmforge.artifact.header import read_header
from nmforge.models.load import load_checkpoint

PRUNER = '''
from nmforge.compression.pruning.masks import by_score
from nmforge.compression.pruning.registry import REGISTRY, Pruner
from nmforge.core.lazy import torch

def score(weight, stats):
    """The last weights of each window."""
    return torch.arange(weight.shape[1]).expand_as(weight)

REGISTRY.add(Pruner("last", "keeps the last weights", by_score(score)))
'''
QUANTIZER = '''
from nmforge.compression.quantization.registry import REGISTRY, Quantizer
from nmforge.compression.quantization.scales import Quantized, mask_or_all
from nmforge.core.lazy import torch

def quantize(group, keep_mask):
    """Signs, every row with its mean magnitude."""
    mask, (_, groups) = mask_or_all(keep_mask, group.weight), group.scheme.groups(group.weight.shape[1], group.name)
    mult = torch.ones(len(group.weight), groups, dtype=torch.uint8)
    codes = (group.weight.sign() * mask).to(torch.int8)
    return Quantized(codes, mask, mult, group.weight.abs().mean(dim=1))

REGISTRY.add(Quantizer("signs", "keeps signs", quantize))
'''


def test_a_pruner_and_a_quantizer_of_one_file_each(start: Path, tmp_path: Path) -> None:
    design = {"id": "mine", "pattern": "1:4", "pruner": "last", "quantizer": "signs", "bits": 4, "group_size": 32}
    config = {
        "model": {"name": "toy", "source": "toy"}, "text": {"source": "a.txt"}, "designs": [{"id": "d"}, design],
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    inputs = ["--checkpoint", str(start / "checkpoint"), "--tokens", str(start / "tokens")]
    run_with_files(
        {"pruner": PRUNER, "quantizer": QUANTIZER}, tmp_path, "--config", str(tmp_path / "config.yaml"), "compress",
        "--design", "mine", *inputs, "--out", str(tmp_path / "out"),
    )  # fmt: skip
    design = read_header(tmp_path / "out")["design"]
    assert (design["pruner"], design["quantizer"]) == ("last", "signs")
    model = load_checkpoint(start / "checkpoint")[0]
    for name, layer in load_linears(tmp_path / "out").items():
        weight = model.get_submodule(name).weight.detach().numpy()
        assert (layer.keep_mask == (np.arange(layer.k) % 4 == 3)).all()
        assert (layer.codes == np.sign(weight) * layer.keep_mask).all()
        assert np.allclose(layer.row_scale, np.abs(weight).mean(axis=1), rtol=1e-5)
