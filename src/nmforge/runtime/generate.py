"""Text from one artifact, compressed layers in mode W4A8, on one of four backends.

`native` is the C++ decoder (`native_model`), made for speed; it takes dense bf16 artifacts too. The other three put
transformers' model around the layers: such a backend computes the INT32 sums of a layer and nothing else.
Quantization before and scaling after are the same code for these three, so their logits are the same bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache

from nmforge.artifact.format import load_linear, verify
from nmforge.artifact.header import read_header
from nmforge.core import reference
from nmforge.core.compressed_linear import CompressedLinear, Float32, Int8
from nmforge.core.errors import NmforgeError
from nmforge.io.provenance import peak_rss
from nmforge.kernels.cpu.linear import CpuLinear
from nmforge.runtime.native import load_native
from nmforge.runtime.rtl import ARRAY, Backend, RtlBackend, Simulated, Sums

HOSTED = ("cpu", "reference", "rtl")  # backends of `load_model`
BACKENDS = ("native", *HOSTED)
BUILD_DIR = Path("build/fpga")
UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # what a decoder shows for a character whose last bytes are still to come
Choose = Callable[[Tensor], int]  # logits float32[vocabulary] -> token


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
    logits: Tensor
    seconds: float


class SharedQuantizer:
    """Layers that read the same tensor one after the other quantize it once."""

    def __init__(self) -> None:
        self._x: Tensor | None = None
        self._result: tuple[Int8, Float32] | None = None

    def __call__(self, x: Tensor) -> tuple[Int8, Float32]:
        """float32[..., K] -> (int8[M, K], float32[M] steps); raises NmforgeError where x holds NaN or infinity."""
        if self._result is None or x is not self._x:
            self._x, self._result = x, quantize(x.reshape(-1, x.shape[-1]).numpy())
        return self._result


def quantize(x: Float32) -> tuple[Int8, Float32]:
    """`reference.quantize_activations` to the bit, with fewer passes for the one token that decoding has.

    float32[M, K] -> (int8[M, K], float32[M]); raises NmforgeError where x holds NaN or infinity.
    """
    step = np.maximum(x.max(axis=1), -x.min(axis=1)) / np.float32(127)
    if not np.isfinite(step).all():
        raise NmforgeError("the activations of a layer hold NaN or infinity; check the artifact with nmforge inspect")
    if not step.all():
        return reference.quantize_activations(x)  # a token of zeros must not be divided by its step
    quotient = x / step[:, None]
    np.rint(quotient, out=quotient)
    np.minimum(quotient, 127, out=quotient)
    np.maximum(quotient, -127, out=quotient)
    return quotient.astype(np.int8), step


class SummedLinear(nn.Module):
    """A linear layer in mode W4A8 whose sums come from a backend."""

    def __init__(self, sums: Sums, row_scale: Float32, quantizer: SharedQuantizer) -> None:
        """sums: int8[M, K] -> int32[M, N]; row_scale: float32[N]."""
        super().__init__()
        self.sums, self.row_scale, self.quantizer = sums, row_scale, quantizer

    def forward(self, x: Tensor) -> Tensor:
        """float32[..., K] -> float32[..., N]."""
        xq, step = self.quantizer(x)
        y = reference.scale_output(self.sums(xq), step, self.row_scale)
        return torch.from_numpy(y).view(*x.shape[:-1], y.shape[1])


def cpu_backend(threads: int) -> Backend:
    """The C++ kernels of this machine on `threads` threads."""

    def bind(_name: str, linear: CompressedLinear) -> Sums:
        return partial(CpuLinear(linear).accumulate, threads=threads)

    return bind


def reference_backend(_name: str, linear: CompressedLinear) -> Sums:
    """The NumPy oracle: slow."""
    return partial(reference.accumulate, linear)


def make_backend(name: str, threads: int, build_dir: Path, compare: bool, array: tuple[int, int] = ARRAY) -> Backend:
    """One of HOSTED; rtl simulates an `array` of rows x columns and, with `compare`, holds every sum against the
    CPU kernel's."""
    _check_threads(threads)
    if name == "cpu":
        return cpu_backend(threads)
    if name == "reference":
        return reference_backend
    if name == "rtl":
        return RtlBackend(build_dir, array, threads, cpu_backend(threads) if compare else None)
    raise NmforgeError(f"backend {name!r} is unknown; use one of {', '.join(BACKENDS)}")


def load_model(artifact: Path, backend: Backend) -> Any:
    """Model of a compressed artifact in float32, its linear layers summed by `backend`.

    Raises NmforgeError where a tensor is altered or missing, or the artifact has no compressed layers.
    """
    header = read_header(artifact)
    _check_compressed(artifact, header)
    verify(artifact)
    settings = dict(header["model"]["config"])
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    with torch.device("meta"):  # no memory for weights that come from the file or never exist
        model = AutoModelForCausalLM.from_config(config).eval()
    model.model.rotary_emb = type(model.model.rotary_emb)(config)  # computed, not stored
    quantizer = SharedQuantizer()
    for name in header["layers"]:
        linear = load_linear(artifact, name)  # one at a time: unpacked, it takes three times its kernel's memory
        model.set_submodule(name, SummedLinear(backend(name, linear), linear.row_scale, quantizer))
    _load_rest(model, artifact)
    return model


def _load_rest(model: Any, artifact: Path) -> None:
    """Give the model every tensor that is no linear layer's, in float32."""
    wanted = model.state_dict().keys()
    with safe_open(artifact, framework="pt") as handle:
        rest = {name: handle.get_tensor(name).float() for name in handle.keys() if name in wanted}  # noqa: SIM118
    model.load_state_dict(rest, strict=False, assign=True)
    model.tie_weights()
    for name, parameter in model.named_parameters():
        if parameter.is_meta:
            raise NmforgeError(f"artifact {artifact} lacks tensor {name}; compress it again")


def load_tokenizer(artifact: Path) -> Tokenizer:
    """The tokenizer inside an artifact; raises NmforgeError where it has none."""
    with safe_open(artifact, framework="np") as handle:
        if "tokenizer.json" not in handle.keys():  # noqa: SIM118
            raise NmforgeError(f"artifact {artifact} holds no tokenizer; compress it again")
        return Tokenizer.from_buffer(handle.get_tensor("tokenizer.json").tobytes())


Logits = Callable[[list[int]], Tensor]  # token ids behind those seen before -> logits float32[vocabulary]


def hosted_logits(model: Any) -> Logits:
    """The logits of a model of `load_model`, over transformers' key-value cache."""
    cache = DynamicCache(config=model.config)

    @torch.inference_mode()
    def logits(ids: list[int]) -> Tensor:
        return model(torch.tensor([ids]), past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1]

    return logits


def native_logits(artifact: Path, threads: int, context: int) -> Logits:
    """The logits of the C++ decoder, for a text of at most `context` tokens."""
    _check_threads(threads)
    model = load_native(artifact, context)
    return lambda ids: torch.from_numpy(model.forward(ids, threads))


def decode(logits_of: Logits, prompt_ids: list[int], choose: Choose) -> Iterator[Step]:
    """Endless steps: the whole prompt in one pass, then one token a pass."""
    ids = prompt_ids
    while True:
        begun = time.perf_counter()
        logits = logits_of(ids)
        token = choose(logits)
        yield Step(token, logits, time.perf_counter() - begun)
        ids = [token]


def greedy(logits: Tensor) -> int:
    """The likeliest token; the first one of equals."""
    return int(logits.argmax())


def sampler(temperature: float, seed: int) -> Choose:
    """Draws from softmax(logits / temperature), seeded; `greedy` at temperature 0."""
    if not 0 <= temperature < math.inf:
        raise NmforgeError(f"temperature {temperature} is no temperature; use 0 for greedy decoding, or up to about 2")
    if temperature == 0:
        return greedy
    generator = torch.Generator().manual_seed(seed)

    def draw(logits: Tensor) -> int:
        chances = ((logits.double() - logits.max()) / temperature).softmax(0)
        return int(torch.multinomial(chances, 1, generator=generator))

    return draw


def generate(
    artifact: Path,
    prompt: str,
    tokens: int = 32,
    backend: str = "native",
    *,
    threads: int = 1,
    temperature: float = 0,
    seed: int = 0,
    build_dir: Path = BUILD_DIR,
    array: tuple[int, int] = ARRAY,
    compare: bool = False,
    stream: Callable[[str], None] | None = None,
) -> Generated:
    """Continue `prompt` by at most `tokens` tokens, fewer where the model ends its text; nothing but the file is read.

    backend: one of BACKENDS, the hosted ones equal to the bit; `threads` is the kernels' and the simulations'.
    temperature 0 is greedy; any other one samples from `seed`. build_dir keeps the simulators of rtl, array is their
    rows and columns, and `compare` holds each of their sums against the CPU kernel's. stream gets the text piece by
    piece, whole characters only.
    Raises NmforgeError where an argument makes no sense, the artifact is damaged, or sums differ.
    """
    choose = sampler(temperature, seed)
    sums = None if backend == "native" else make_backend(backend, threads, build_dir, compare, array)
    header = read_header(artifact)
    tokenizer = load_tokenizer(artifact)
    prompt_ids = tokenizer.encode(prompt).ids
    _check_lengths(prompt_ids, tokens, header["model"]["config"]["max_position_embeddings"])
    if sums is None:
        logits = native_logits(artifact, threads, len(prompt_ids) + tokens)
    else:
        logits = hosted_logits(load_model(artifact, sums))
    seconds, ids, text = [], [], _Text(tokenizer, stream)
    for step in decode(logits, prompt_ids, choose):
        seconds.append(step.seconds)
        ended = step.token in _end_tokens(header)
        if not ended:
            ids.append(step.token)
            text.show(ids)
        if ended or len(ids) == tokens:
            break
    return Generated(
        text.finish(ids), ids, prompt_ids, seconds[0], sum(seconds[1:]), len(seconds) - 1, peak_rss(),
        sums.totals if isinstance(sums, RtlBackend) else None,
    )  # fmt: skip


def _check_threads(threads: int) -> None:
    if threads < 1:
        raise NmforgeError(f"{threads} threads cannot work; use 1 or more")


def _check_compressed(artifact: Path, header: dict[str, Any]) -> None:
    if not header["layers"]:
        raise NmforgeError(
            f"artifact {artifact} of design {header['design']['id']} has no compressed layers, and this backend "
            "sums integers; name the artifact of a compressed design, or use --backend native"
        )


def _check_lengths(prompt_ids: list[int], tokens: int, context: int) -> None:
    if tokens < 1:
        raise NmforgeError(f"{tokens} tokens are nothing to generate; ask for 1 or more")
    if not prompt_ids:
        raise NmforgeError("the prompt is empty; give the model a text to continue")
    if len(prompt_ids) + tokens > context:
        raise NmforgeError(
            f"a prompt of {len(prompt_ids)} tokens and {tokens} new ones exceed the model's context of {context}; "
            "shorten the prompt or ask for fewer tokens"
        )


def _end_tokens(header: dict[str, Any]) -> list[int]:
    """Tokens that end a text."""
    found = header["model"]["config"].get("eos_token_id")
    return found if isinstance(found, list) else [] if found is None else [found]


class _Text:
    """Text of a growing list of tokens, handed on in whole characters: a token may end inside one."""

    def __init__(self, tokenizer: Tokenizer, stream: Callable[[str], None] | None) -> None:
        self.tokenizer, self.stream, self.shown = tokenizer, stream, ""

    def show(self, ids: list[int]) -> None:
        """Hand on what is new."""
        if self.stream:
            text: str = self.tokenizer.decode(ids)
            if not text.endswith(UNFINISHED):
                self._hand_on(text)

    def finish(self, ids: list[int]) -> str:
        """Hand on what is left, half characters too, and return the whole text."""
        text: str = self.tokenizer.decode(ids)
        self._hand_on(text)
        return text

    def _hand_on(self, text: str) -> None:
        if self.stream and len(text) > len(self.shown):
            self.stream(text[len(self.shown) :])
            self.shown = text
