"""Text the dense model writes: sampled from its own distribution, opened by calibration text, the same for a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nmforge.artifact.header import read_header
from nmforge.config import RecoveryConfig
from nmforge.core.errors import NmforgeError
from nmforge.data.tokens import read_tokens
from nmforge.models.load import load_checkpoint
from nmforge.recovery.end_to_end import recover_artifact
from nmforge.recovery.self_generated import PROMPT, continue_sequences, read_self_generated, write_self_generated

pytestmark = pytest.mark.slow


def test_each_token_is_drawn_from_what_the_model_says_of_the_whole_sequence(start: Path) -> None:
    model = load_checkpoint(start / "checkpoint")[0]
    prompts = torch.randint(257, (3, 5), generator=torch.Generator().manual_seed(1))
    written = continue_sequences(model, prompts, 24, torch.Generator().manual_seed(2))
    again, generator = prompts, torch.Generator().manual_seed(2)
    while again.shape[1] < 24:  # the whole sequence anew for every token, nothing kept
        with torch.no_grad():
            chances = model(again, use_cache=False).logits[:, -1].softmax(-1)
        again = torch.cat([again, torch.multinomial(chances, 1, generator=generator)], dim=1)
    assert torch.equal(written, again)


def test_sequences_open_with_the_text_and_depend_on_the_seed_alone(start: Path) -> None:
    sources = (start / "checkpoint", start / "tokens")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_self_generated(*sources, 70, 40, seed, start / name)
    found = read_self_generated(start / "a", 70, 40, start / "checkpoint", "r")
    with pytest.raises(NmforgeError, match="is of another model or text; make it again with nmforge self-generate"):
        read_self_generated(start / "a", 70, 40, start / "checkpoint", "another")
    with pytest.raises(NmforgeError, match=r"holds no self-generated text .*; make it with nmforge self-generate"):
        read_self_generated(start / "tokens", 70, 40, start / "checkpoint", "r")
    assert found.dtype == np.int32
    stream = read_tokens(start / "tokens", "calibration")[0]
    places = np.lib.stride_tricks.sliding_window_view(stream, PROMPT)
    assert all((places == sequence[:PROMPT]).all(1).any() for sequence in found)
    assert len(np.unique(found[:, PROMPT:], axis=0)) == 70
    assert (start / "a").read_bytes() == (start / "b").read_bytes() != (start / "c").read_bytes()


def test_training_reads_them_and_its_header_says_so(start: Path) -> None:
    settings = RecoveryConfig(start="start", steps=2, batch=2, seqlen=40, self_generated=6)
    arguments = (start / "checkpoint", start / "start", start / "tokens", "d", settings, start / "d")
    with pytest.raises(
        NmforgeError, match=r"recovery\.self_generated asks for 6 sequences; name their file with --self-generated"
    ):
        recover_artifact(*arguments)
    write_self_generated(start / "checkpoint", start / "tokens", 5, 40, 0, start / "few")
    with pytest.raises(NmforgeError, match="few holds 5 sequences of 40 tokens, recovery asks for 6 of 40; make it"):
        recover_artifact(*arguments, start / "few")
    write_self_generated(start / "checkpoint", start / "tokens", 6, 40, 0, start / "six")
    recover_artifact(*arguments, start / "six")
    assert read_header(start / "d")["recovery"]["self_text"] == 6
    plain = (*arguments[:4], settings.model_copy(update={"self_generated": 0}), start / "plain")
    with pytest.raises(NmforgeError, match=r"recovery\.self_generated of this design point is 0; set it, or leave out"):
        recover_artifact(*plain, start / "six")
    recover_artifact(*plain)
    seen = [read_header(start / name)["recovery"]["windows"] for name in ("d", "plain")]
    assert seen[0] != seen[1]


def test_sequences_that_the_prompt_fills(start: Path) -> None:
    with pytest.raises(NmforgeError, match="each opens with 32 tokens of the calibration text; ask for longer ones"):
        write_self_generated(start / "checkpoint", start / "tokens", 1, PROMPT, 0, start / "none")
