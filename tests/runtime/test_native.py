"""The C++ decoder against a NumPy one, and its promise of the same bits on any threads, path and cut of the prompt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from factories.toy_artifacts import BF16, compressed_toy
from safetensors import safe_open

from nmforge.artifact.format import RawTensor, load_linears
from nmforge.artifact.header import read_header
from nmforge.core import reference
from nmforge.core.errors import NmforgeError
from nmforge.io.safetensors_stream import DType
from nmforge.kernels.cpu import available_isas
from nmforge.models.llama import BLOCK_LINEARS, LlamaShape
from nmforge.runtime.continuation import GenerationSettings
from nmforge.runtime.generate import generate
from nmforge.runtime.native import as_bf16, bf16_to_float32, float32_to_bf16, load_native

pytestmark = pytest.mark.slow

TOKENS = [72, 101, 108, 108, 111, 32, 119, 111, 114, 108, 100, 3, 250, 7, 9, 200, 31, 64, 90]


@pytest.fixture(scope="module")
def sparse(checkpoint: Path) -> Path:
    return compressed_toy(checkpoint)


@pytest.fixture(scope="module")
def dense(checkpoint: Path) -> Path:
    return compressed_toy(checkpoint, BF16)


class NumpyDecoder:
    """The whole sequence at once in float64, linear layers by `reference` or in bf16, keys and values rounded."""

    def __init__(self, artifact: Path) -> None:
        self.shape = LlamaShape.from_config(read_header(artifact)["model"]["config"])
        self.linears = load_linears(artifact)
        with safe_open(artifact, framework="pt") as handle:
            names = [name for name in handle.keys() if name.endswith("weight")]  # noqa: SIM118
            self.weights = {name: handle.get_tensor(name).double().numpy() for name in names}

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        if name in self.linears:
            return reference.forward_w4a8(self.linears[name], x.astype(np.float32)).astype(np.float64)
        return round_bf16(x) @ self.weights[f"{name}.weight"].T

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + self.shape.eps) * self.weights[name]

    def rotate(self, x: np.ndarray) -> np.ndarray:
        """[T, heads, size]"""
        half = x.shape[2] // 2
        angle = np.arange(len(x))[:, None] * self.shape.rope_theta ** (-np.arange(half) / half)
        turned = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angle)[:, None]
        return np.concatenate([turned.real, turned.imag], axis=2)

    def logits(self, tokens: list[int]) -> np.ndarray:
        s = self.shape
        x = self.weights["model.embed_tokens.weight"][tokens]
        for i in range(s.blocks):
            prefix = f"model.layers.{i}"
            h = self.norm(f"{prefix}.input_layernorm.weight", x)
            q, k, v = (self.linear(f"{prefix}.self_attn.{n}_proj", h).reshape(len(x), -1, s.head_size) for n in "qkv")
            x = x + self.linear(f"{prefix}.self_attn.o_proj", self.attend(self.rotate(q), self.rotate(k), v))
            h = self.norm(f"{prefix}.post_attention_layernorm.weight", x)
            gate, up = (self.linear(f"{prefix}.mlp.{n}_proj", h) for n in ("gate", "up"))
            x = x + self.linear(f"{prefix}.mlp.down_proj", gate / (1 + np.exp(-gate)) * up)
        return self.weights["model.embed_tokens.weight"] @ self.norm("model.norm.weight", x)[-1]

    def attend(self, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
        repeat = q.shape[1] // k.shape[1]
        k, v = (np.repeat(round_bf16(a), repeat, axis=1) for a in (k, v))
        scores = np.einsum("thd,shd->hts", q, k) / np.sqrt(q.shape[2])
        scores = np.where(np.tri(len(q), dtype=bool), scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=2, keepdims=True))
        return np.einsum("hts,shd->thd", weights / weights.sum(axis=2, keepdims=True), v).reshape(len(q), -1)


def round_bf16(x: np.ndarray) -> np.ndarray:
    return bf16_to_float32(float32_to_bf16(x.astype(np.float32))).astype(np.float64)


@pytest.mark.parametrize("which", ["sparse", "dense"])
def test_logits_of_the_numpy_decoder(which: str, request: pytest.FixtureRequest) -> None:
    """Float32 against float64: a rounding that falls the other way moves a logit by far less than 1 % of their spread,
    a wrong head, position or layer by about the spread itself."""
    artifact = request.getfixturevalue(which)
    model, oracle = load_native(artifact, 64), NumpyDecoder(artifact)
    for length in (1, 2, 15, 16, 17, len(TOKENS)):
        model.truncate(0)
        found, exact = model.forward(TOKENS[:length], 1), oracle.logits(TOKENS[:length])
        assert np.abs(found - exact).max() < 0.02 * exact.std()


@pytest.mark.parametrize("which", ["sparse", "dense"])
def test_the_same_bits_everywhere(which: str, request: pytest.FixtureRequest) -> None:
    """Whatever the instruction set, the threads, and the pieces a text comes in."""
    artifact = request.getfixturevalue(which)
    expected = load_native(artifact, 64, "portable").forward(TOKENS, 1)
    for isa in available_isas():
        for threads in (1, 2, 3):
            for piece in (1, 2, 7, len(TOKENS)):
                model = load_native(artifact, 64, isa)
                for begin in range(0, len(TOKENS), piece):
                    logits = model.forward(TOKENS[begin : begin + piece], threads)
                assert (logits == expected).all(), (isa, threads, piece)
                assert model.length == len(TOKENS)


def test_forgotten_tokens_leave_nothing(sparse: Path) -> None:
    model = load_native(sparse, 64)
    first = model.forward(TOKENS[:9], 1)
    model.forward(TOKENS[9:], 1)
    model.truncate(8)
    assert (model.forward(TOKENS[8:9], 1) == first).all()


def test_a_filled_context_is_the_same_every_time(sparse: Path) -> None:
    model = load_native(sparse, 64)
    found = []
    for seed in (0, 0, 1):
        model.fill(40, seed)
        assert model.length == 40
        found.append(model.forward([5], 2))
    assert (found[0] == found[1]).all() and np.abs(found[0] - found[2]).max() > 1e-3


def test_a_context_that_leaves_no_room(sparse: Path) -> None:
    with pytest.raises(NmforgeError, match="16 tokens leave no room in a context of 16; use a shorter one"):
        load_native(sparse, 16).fill(16)


def test_calls_in_quick_succession(sparse: Path) -> None:
    """Threads of one call may still look for work when the next begins: none may be missed, or it never ends."""
    model = load_native(sparse, 64)
    expected = model.forward([5], 1)
    for call in range(1500):
        model.truncate(0)
        assert call % 500 or (model.forward([5], 2 + call % 3) == expected).all()
        model.truncate(0)
        model.forward([5], 2 + call % 3)


def test_bytes_that_a_token_reads(sparse: Path, dense: Path) -> None:
    shape = LlamaShape.from_config(read_header(dense)["model"]["config"])
    weights = sum(n * k for n, k in shape.linear_sizes) * shape.blocks + shape.vocabulary * shape.hidden
    assert load_native(dense).weight_bytes == 2 * weights
    assert load_native(dense).cache_bytes_per_token == 2 * 2 * shape.blocks * shape.kv_heads * shape.head_size
    assert load_native(sparse).weight_bytes < load_native(dense).weight_bytes


def test_generation_of_dense_weights(dense: Path) -> None:
    found = generate(dense, "Once upon", GenerationSettings(5))
    assert len(found.token_ids) <= 5 and found.simulated is None


def test_a_context_that_is_too_short(sparse: Path) -> None:
    model = load_native(sparse, 16)
    with pytest.raises(NmforgeError, match="19 tokens exceed the context of 16; shorten the prompt"):
        model.forward(TOKENS, 1)


def test_a_token_outside_the_vocabulary(sparse: Path) -> None:
    with pytest.raises(NmforgeError, match="a token is outside the vocabulary"):
        load_native(sparse, 16).forward([257], 1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "qwen2"),
        ("hidden_act", "gelu"),
        ("rope_parameters", {"rope_type": "yarn"}),
        ("attention_bias", True),
    ],
)
def test_models_it_has_no_code_for(sparse: Path, key: str, value: object) -> None:
    config = {**read_header(sparse)["model"]["config"], key: value}
    with pytest.raises(NmforgeError, match=r"is not in the native decoder .*; generate with --backend cpu"):
        LlamaShape.from_config(config)


def test_bf16_rounds_to_even() -> None:
    values = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -2.5, 0.0], dtype=np.float32)
    even = [1.0, 1.0, 1 + 2**-6, 1 + 2**-7, -2.5, 0.0]
    assert bf16_to_float32(float32_to_bf16(values)).tolist() == even
    assert as_bf16(RawTensor(DType.F32, (6,), values.tobytes())).tolist() == float32_to_bf16(values).tolist()


def test_layers_and_their_sizes_are_in_one_order() -> None:
    shape = LlamaShape(64, 128, 1, 4, 2, 16, 257, 512, 1e4, 1e-5)
    assert dict(zip(BLOCK_LINEARS, shape.linear_sizes, strict=True))["mlp.down_proj"] == (64, 128)
    assert dict(zip(BLOCK_LINEARS, shape.linear_sizes, strict=True))["self_attn.v_proj"] == (32, 64)
