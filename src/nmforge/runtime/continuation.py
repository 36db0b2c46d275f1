"""A text continued token by token, whatever computes the logits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nmforge.artifact.header import Header, read_header
from nmforge.core.compressed_linear import Float32
from nmforge.core.errors import NmforgeError
from nmforge.io.provenance import peak_rss
from nmforge.runtime.backends import ARRAY
from nmforge.runtime.native import Logits
from nmforge.runtime.sampling import Choose, sampler
from nmforge.runtime.text import StreamedText, read_tokenizer

if TYPE_CHECKING:
    from nmforge.runtime.rtl import Simulated

HOSTED = ("cpu", "reference", "rtl")  # backends that `hosted` puts transformers' model around
BACKENDS = ("native", *HOSTED)
BUILD_DIR = Path("build/fpga")
Stream = Callable[[str], object]  # gets a text piece by piece, whole characters only


@dataclass(frozen=True)
class GenerationSettings:
    """How a text is continued.

    tokens: most that are generated; fewer where the model ends its text.
    backend: one of BACKENDS, the hosted ones equal to the bit. threads: of the kernels and the simulations.
    temperature: 0 takes the likeliest token, any other one samples from `seed`.
    build_dir, array, compare: of backend rtl. Folder that keeps its simulators, their rows and columns, and whether
    each of their sums is held against the CPU kernel's.
    """

    tokens: int = 32
    backend: str = "native"
    threads: int = 1
    temperature: float = 0
    seed: int = 0
    build_dir: Path = BUILD_DIR
    array: tuple[int, int] = ARRAY
    compare: bool = False


DEFAULTS = GenerationSettings()


@dataclass(frozen=True)
class Generated:
    """What one call of `generate` made, and what it took.

    token_ids: generated ones, without an end token. Seconds: the prompt's, with the choice of the first token, and
    those of the `decode_steps` tokens after it. peak_rss: bytes of this process so far. simulated: rtl only.
    """

    text: str
    token_ids: list[int]
    prompt_ids: list[int]
    prompt_seconds: float
    decode_seconds: float
    decode_steps: int
    peak_rss: int
    simulated: Simulated | None = None

    @property
    def prompt_rate(self) -> float:
        """Prompt tokens per second."""
        return len(self.prompt_ids) / self.prompt_seconds

    @property
    def decode_rate(self) -> float | None:
        """Tokens per second after the first one; None where there was no second one."""
        return self.decode_steps / self.decode_seconds if self.decode_steps else None


@dataclass(frozen=True)
class Step:
    """One forward pass: the token chosen from logits float32[vocabulary], and the seconds both took."""

    token: int
    logits: Float32
    seconds: float


def decode(logits_of: Logits, prompt_ids: list[int], choose: Choose) -> Iterator[Step]:
    """Endless steps: the whole prompt in one pass, then one token a pass."""
    ids = prompt_ids
    while True:
        begun = time.perf_counter()
        logits = logits_of(ids)
        token = choose(logits)
        yield Step(token, logits, time.perf_counter() - begun)
        ids = [token]


def continue_text(
    artifact: Path, prompt: str, settings: GenerationSettings, load: Callable[[int], Logits], stream: Stream | None
) -> Generated:
    """Continue `prompt` with the tokenizer and the end tokens of an artifact; nothing but the file is read.

    load: the model's logits, given how many tokens its context has to hold.
    Raises NmforgeError where a setting makes no sense or the artifact is damaged.
    """
    choose = sampler(settings.temperature, settings.seed)
    header, tokenizer = read_header(artifact), read_tokenizer(artifact)
    prompt_ids = tokenizer.encode(prompt).ids
    _check_lengths(prompt_ids, settings.tokens, header["model"]["config"]["max_position_embeddings"])
    logits_of = load(len(prompt_ids) + settings.tokens)
    seconds, ids, text = [], [], StreamedText(tokenizer, stream)
    for step in decode(logits_of, prompt_ids, choose):
        seconds.append(step.seconds)
        ended = step.token in end_tokens(header)
        if not ended:
            ids.append(step.token)
            text.show(ids)
        if ended or len(ids) == settings.tokens:
            break
    return Generated(text.finish(ids), ids, prompt_ids, seconds[0], sum(seconds[1:]), len(seconds) - 1, peak_rss())


def _check_lengths(prompt_ids: list[int], tokens: int, context: int) -> None:
    if tokens < 1:
        raise NmforgeError(f"tokens = {tokens} is out of range; ask for 1 or more")
    if not prompt_ids:
        raise NmforgeError("the prompt is empty; give the model a text to continue")
    if len(prompt_ids) + tokens > context:
        raise NmforgeError(
            f"a prompt of {len(prompt_ids)} tokens and {tokens} new ones exceed the model's context of {context}; "
            "shorten the prompt or ask for fewer tokens"
        )


def end_tokens(header: Header) -> list[int]:
    """Tokens that end a text."""
    found = header["model"]["config"].get("eos_token_id")
    return found if isinstance(found, list) else [] if found is None else [found]
