"""Self-generated text: the dense model writes as much training text as is asked for.

Each sequence opens with tokens of the calibration text and continues as the dense model samples it, at temperature 1
from the whole vocabulary (Liu et al. 2023, LLM-QAT, arXiv 2305.17888, section 3.1), so the student learns from text
with the distribution of its teacher.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from nmforge.core.errors import NmforgeError
from nmforge.data.tokens import Tokens, read_tokens
from nmforge.io.files import write_atomically
from nmforge.io.hashing import hash_json
from nmforge.io.progress import steps
from nmforge.linalg.device import compute_device
from nmforge.models.checkpoint import read_identity
from nmforge.models.load import load_checkpoint
from nmforge.recovery.device import compute_dtype

PROMPT = 32  # tokens of calibration text that a sequence opens with
BATCH_SEQUENCES = {"cpu": 64, "cuda": 4096}  # sequences that are written at once


def write_self_generated(checkpoint: Path, tokens: Path, sequences: int, seqlen: int, seed: int, out: Path) -> None:
    """Write int32[sequences, seqlen] as `self_generated` of a safetensors file, and what model and text it is of.

    The same bytes for the same arguments on the same kind of device. Raises NmforgeError for sequences no longer than
    the prompt, or a calibration text shorter than one.
    """
    stream, revision = read_tokens(tokens, "calibration")
    prompts = torch.from_numpy(_prompts(stream, sequences, seqlen, seed)).long()
    device = compute_device()
    model = load_checkpoint(checkpoint, compute_dtype())[0].to(device)
    written = []
    pieces = prompts.split(BATCH_SEQUENCES[device.type])
    for number, some in enumerate(steps(pieces, "self-generate", "batch")):
        state = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        generator = torch.Generator(device).manual_seed(state)
        written.append(continue_sequences(model, some.to(device), seqlen, generator).cpu())
    arrays = {"self_generated": torch.cat(written).int().numpy()}
    made_of = _made_of(checkpoint, revision)
    write_atomically(out, lambda path: save_file(arrays, path, made_of))


def _made_of(checkpoint: Path, revision: str) -> dict[str, str]:
    """Metadata that names model and text; one entry, as safetensors writes several in any order."""
    return {"made_of": hash_json([read_identity(checkpoint), revision])}


def read_self_generated(path: Path, sequences: int, seqlen: int, checkpoint: Path, revision: str) -> Tokens:
    """int32[sequences, seqlen] that `write_self_generated` wrote with this checkpoint from the text of this revision.

    NmforgeError where there is no such file, or it is another model's, text's or size.
    """
    try:
        with safe_open(path, framework="np") as handle:
            found: Tokens = handle.get_tensor("self_generated")
            made_of = handle.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise NmforgeError(
            f"{path} holds no self-generated text ({error}); make it with nmforge self-generate"
        ) from error
    if made_of != _made_of(checkpoint, revision):
        raise NmforgeError(f"{path} is of another model or text; make it again with nmforge self-generate")
    if found.shape != (sequences, seqlen):
        raise NmforgeError(
            f"{path} holds {found.shape[0]} sequences of {found.shape[1]} tokens, recovery asks for {sequences} of "
            f"{seqlen}; make it again with nmforge self-generate --sequences {sequences} --seqlen {seqlen}"
        )
    return found


def _prompts(stream: Tokens, sequences: int, seqlen: int, seed: int) -> Tokens:
    """int32[sequences, PROMPT] from random places of the text."""
    if seqlen <= PROMPT or len(stream) < PROMPT:
        raise NmforgeError(
            f"sequences of {seqlen} tokens from a text of {len(stream)} leave nothing to write: each opens with "
            f"{PROMPT} tokens of the calibration text; ask for longer ones (recovery.seqlen) or name a longer text"
        )
    places = np.random.default_rng(seed).integers(0, len(stream) - PROMPT + 1, sequences)
    opened: Tokens = stream[places[:, None] + np.arange(PROMPT)]
    return opened


@torch.inference_mode()
def continue_sequences(model: Any, prompts: Tensor, seqlen: int, generator: torch.Generator) -> Tensor:
    """int64[B, P] -> int64[B, seqlen]: each prompt and what the model samples after it."""
    written, state = prompts, None
    new = prompts
    while written.shape[1] < seqlen:
        output = model(new, past_key_values=state, use_cache=True, logits_to_keep=1)
        state = output.past_key_values
        chances = output.logits[:, -1].float().softmax(-1)
        new = torch.multinomial(chances, 1, generator=generator)
        written = torch.cat([written, new], dim=1)
    return written
