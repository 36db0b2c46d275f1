"""Masks of ModelOpt: what it is given, what its masks become, and the real one where it is installed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nmforge.artifact.format import load_linears
from nmforge.artifact.header import read_header
from nmforge.compression.mask_file import read_mask_file
from nmforge.compression.modelopt_masks import write_modelopt_masks
from nmforge.compression.pruning import modelopt
from nmforge.compression.pruning.masks import keep_largest
from nmforge.compression.pruning.modelopt import FOLDER, PATTERN, write_masks
from nmforge.compression.pruning.registry import REGISTRY
from nmforge.compression.run import compress_checkpoint
from nmforge.config import CalibrationConfig
from nmforge.core.design import DesignPoint
from nmforge.core.design_rules import check_design
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.data.corpora.registry import Documents
from nmforge.data.tokens import write_tokens
from nmforge.io.hashing import sha256_file
from nmforge.models.llama import linear_names
from nmforge.models.load import load_checkpoint

CALIBRATION = CalibrationConfig(tokens=256, seqlen=64)


def point(pruner: str) -> DesignPoint:
    return DesignPoint(pruner, PATTERN, pruner, "gptq", 4, 32)


@pytest.fixture(scope="module")
def tokens(checkpoint: Path) -> Path:
    """Tokens of a made-up text."""
    path = checkpoint.parent / "tokens"
    text = ["".join(chr(97 + (i * j) % 26) for i in range(200)) for j in range(1, 9)]
    write_tokens(Documents(text, text[:1], "r"), load_checkpoint(checkpoint)[1], path)
    return path


@pytest.fixture(scope="module")
def masks(checkpoint: Path) -> Path:
    """Masks that no pruner of ours would choose: by random scores."""
    model, path = load_checkpoint(checkpoint)[0], checkpoint.parent / "masks"
    generator = torch.Generator().manual_seed(0)
    scores = {name: torch.rand(model.get_submodule(name).weight.shape, generator=generator) for name in linear_names(2)}
    chosen = {name: keep_largest(score, PATTERN).contiguous() for name, score in scores.items()}
    save_file(chosen, path, {"modelopt": "1.2.3"})
    return path


def test_masks_of_a_file_are_kept_and_the_rest_is_ours(checkpoint: Path, tokens: Path, masks: Path) -> None:
    folder = checkpoint.parent
    arguments = (checkpoint, tokens, point("modelopt"), CALIBRATION, "bitmask", folder / "masked")
    compress_checkpoint(*arguments, masks)
    wanted, found = load_file(masks), load_linears(folder / "masked")
    assert all((found[name].keep_mask == wanted[name].numpy()).all() for name in linear_names(2))
    header = read_header(folder / "masked")
    assert header["masks"] == {"sha256": sha256_file(masks), "modelopt": "1.2.3"}
    assert header["calibration"]["tokens"] == 256
    with pytest.raises(NmforgeError, match="pruner magnitude chooses its own masks; leave out --masks"):
        compress_checkpoint(checkpoint, tokens, point("magnitude"), CALIBRATION, "bitmask", folder / "own", masks)
    with pytest.raises(NmforgeError, match="masks of pruner modelopt are missing; make them with nmforge modelopt"):
        compress_checkpoint(*arguments[:-1], folder / "none")


def test_masks_that_do_not_fit(checkpoint: Path, tokens: Path, masks: Path) -> None:
    found, folder = load_file(masks), checkpoint.parent
    first = linear_names(2)[0]
    wrong = {"thin": found[first][:, :-4], "full": torch.ones_like(found[first]), "low": found[first][:-1]}
    for name, mask in wrong.items():
        save_file(found | {first: mask.contiguous()}, folder / name)
        with pytest.raises(NmforgeError, match=f"the masks? of {first}.* (has|have|keeps more than 2 of 4)"):
            compress_checkpoint(
                checkpoint, tokens, point("modelopt"), CALIBRATION, "bitmask", folder / f"{name}-out", folder / name
            )
    save_file({name: mask for name, mask in found.items() if name != first}, folder / "few")
    with pytest.raises(NmforgeError, match=f"few has no mask of {first}; make it again from this checkpoint"):
        read_mask_file(folder / "few", REGISTRY.get("modelopt"), linear_names(2))
    with pytest.raises(NmforgeError, match=r"^design x: pruner modelopt has no masks of 1:4; set pattern 2:4$"):
        check_design(DesignPoint("x", Pattern(1, 4), "modelopt", "gptq", 4, 32))


def test_windows_that_keep_too_few_are_filled_up() -> None:
    weight = torch.tensor([[1.0, -4.0, 3.0, 2.0, 9.0, 8.0, 7.0, 6.0]])
    mask = torch.tensor([[True, False, False, False, False, False, True, True]])
    filled = modelopt.stacked_masks({"layer": mask}, ["layer"], weight)
    assert filled.tolist() == [[True, True, False, False, False, False, True, True]]


def test_modelopt_that_is_missing_or_fails(checkpoint: Path, tmp_path: Path) -> None:
    sequences = torch.zeros(1, 8, dtype=torch.int64)
    with pytest.raises(NmforgeError, match=r"ModelOpt is not installed in .*; install it with make modelopt"):
        write_masks(checkpoint, sequences, 1, tmp_path / "out", tmp_path)
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho it broke >&2\nexit 3\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(NmforgeError, match=r"^ModelOpt on .* failed \(exit status 3\): it broke; install it again"):
        write_masks(checkpoint, sequences, 1, tmp_path / "out", tmp_path)


@pytest.mark.skipif(not (FOLDER / "bin" / "python").exists(), reason="ModelOpt is not installed; run `make modelopt`")
def test_the_real_one(checkpoint: Path, tokens: Path) -> None:
    out = checkpoint.parent / "real"
    write_modelopt_masks(checkpoint, tokens, CALIBRATION, 1, out)
    found = read_mask_file(out, REGISTRY.get("modelopt"), linear_names(2))
    assert found.origin["modelopt"][0].isdigit()
    model, alike = load_checkpoint(checkpoint)[0], 0
    for name in linear_names(2):
        weight = model.get_submodule(name).weight.detach()
        kept = found.masks[name].unflatten(1, (-1, 4)).sum(2)
        assert (kept <= 2).all() and kept.float().mean() > 1.95
        alike += int((found.masks[name] == keep_largest(weight.abs(), PATTERN)).all())
    assert alike < len(linear_names(2))  # it looks at more than magnitudes
