"""Text the dense model writes: sampled from its own distribution, opened by calibration text, the same for a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nmforge.artifact import read_header
from nmforge.compress import compress_checkpoint
from nmforge.config import CalibrationConfig, RecoveryConfig
from nmforge.corpora.sources import Corpus
from nmforge.corpora.windows import read_tokens, write_tokens
from nmforge.errors import NmforgeError
from nmforge.models.sources import load_checkpoint, prepare_checkpoint
from nmforge.recovery.run import recover_artifact
from nmforge.recovery.self_text import PROMPT, continue_windows, read_self_text, write_self_text
from nmforge.spec import DesignPoint, Pattern


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a toy checkpoint, its tokens and an artifact `start`."""
    folder = tmp_path_factory.mktemp("self_text")
    prepare_checkpoint("toy", None, folder, folder / "checkpoint")
    text = ["".join(chr(97 + (i * j) % 26) for i in range(200)) for j in range(1, 9)]
    write_tokens(Corpus(text, text[:1], "r"), load_checkpoint(folder / "checkpoint")[1], folder / "tokens")
    point = DesignPoint("start", Pattern(2, 4), "magnitude", "rtn", 4, 32)
    compress_checkpoint(
        folder / "checkpoint", folder / "tokens", point, CalibrationConfig(), "bitmask", folder / "start"
    )
    return folder


def test_each_token_is_drawn_from_what_the_model_says_of_the_whole_window(folder: Path) -> None:
    model = load_checkpoint(folder / "checkpoint")[0]
    prompts = torch.randint(257, (3, 5), generator=torch.Generator().manual_seed(1))
    written = continue_windows(model, prompts, 24, torch.Generator().manual_seed(2))
    again, generator = prompts, torch.Generator().manual_seed(2)
    while again.shape[1] < 24:  # the whole window anew for every token, nothing kept
        with torch.no_grad():
            chances = model(again, use_cache=False).logits[:, -1].softmax(-1)
        again = torch.cat([again, torch.multinomial(chances, 1, generator=generator)], dim=1)
    assert torch.equal(written, again)


def test_windows_open_with_the_text_and_depend_on_the_seed_alone(folder: Path) -> None:
    sources = (folder / "checkpoint", folder / "tokens")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_self_text(*sources, 70, 40, seed, folder / name)
    found = read_self_text(folder / "a", 70, 40, folder / "checkpoint", "r")
    with pytest.raises(NmforgeError, match="was written by another model or from another text; write it again"):
        read_self_text(folder / "a", 70, 40, folder / "checkpoint", "another")
    with pytest.raises(NmforgeError, match=r"holds no self-written text .*; write it with nmforge write-text"):
        read_self_text(folder / "tokens", 70, 40, folder / "checkpoint", "r")
    assert found.dtype == np.int32
    stream = read_tokens(folder / "tokens", "calibration")[0]
    places = np.lib.stride_tricks.sliding_window_view(stream, PROMPT)
    assert all((places == window[:PROMPT]).all(1).any() for window in found)
    assert len(np.unique(found[:, PROMPT:], axis=0)) == 70
    assert (folder / "a").read_bytes() == (folder / "b").read_bytes() != (folder / "c").read_bytes()


def test_training_reads_them_and_its_header_says_so(folder: Path) -> None:
    settings = RecoveryConfig(start="start", steps=2, batch=2, seqlen=40, self_text=6)
    arguments = (folder / "checkpoint", folder / "start", folder / "tokens", "d", settings, folder / "d")
    with pytest.raises(NmforgeError, match=r"recovery\.self_text asks for 6 windows; name their file with --self-text"):
        recover_artifact(*arguments)
    write_self_text(folder / "checkpoint", folder / "tokens", 5, 40, 0, folder / "few")
    with pytest.raises(NmforgeError, match="few holds 5 windows of 40 tokens, recovery asks for 6 of 40; write it"):
        recover_artifact(*arguments, folder / "few")
    write_self_text(folder / "checkpoint", folder / "tokens", 6, 40, 0, folder / "six")
    recover_artifact(*arguments, folder / "six")
    assert read_header(folder / "d")["recovery"]["self_text"] == 6
    plain = (*arguments[:4], settings.model_copy(update={"self_text": 0}), folder / "plain")
    with pytest.raises(NmforgeError, match=r"recovery\.self_text of this design point is 0; set it, or leave out"):
        recover_artifact(*plain, folder / "six")
    recover_artifact(*plain)
    seen = [read_header(folder / name)["recovery"]["windows"] for name in ("d", "plain")]
    assert seen[0] != seen[1]


def test_windows_that_the_prompt_fills(folder: Path) -> None:
    with pytest.raises(NmforgeError, match="each opens with 32 tokens of the calibration text; ask for longer ones"):
        write_self_text(folder / "checkpoint", folder / "tokens", 1, PROMPT, 0, folder / "none")
