"""The decode benchmark: what a row holds, what is in memory together, and the random LLaMA in both formats."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from gguf.quants import dequantize

from nmforge.benchmarks import decode
from nmforge.benchmarks import llama7b_artifact as llama7b
from nmforge.benchmarks import machine_limits as limits
from nmforge.benchmarks.candidates.external.registry import Library
from nmforge.benchmarks.decode import DecodeRun, decode_llama7b, run_decode
from nmforge.benchmarks.decoders import Native
from nmforge.benchmarks.llama7b_artifact import FORMATS, LLAMA_7B, random_model, write_random_gguf
from nmforge.config import DecodeConfig
from nmforge.core.errors import NmforgeError
from nmforge.runtime.native import load_native
from nmforge.runtime.torch_model import load_packed

TINY = replace(LLAMA_7B, hidden=128, intermediate=256, blocks=2, heads=4, kv_heads=2, head_size=32, vocabulary=96)


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "streamed_bytes", lambda: 2**20)


class Clockwork:
    """A candidate whose steps last what its context says."""

    family, isa = "library", "library"

    def __init__(self, us: float) -> None:
        self.us, self.context, self.log = us, 0, list[int]()

    def set_context(self, tokens: int) -> None:
        self.context = tokens

    def seconds(self, steps: int) -> list[float]:
        self.log.append(self.context)
        return [1e-6 * self.us * self.context] * steps

    def bytes_per_token(self, context: int) -> int:
        return 1000 + context


class Closing(Clockwork):
    closed = 0

    def close(self) -> None:
        Closing.closed += 1


def test_rows_hold_medians_at_their_context() -> None:
    rows = run_decode(DecodeRun("m", [2, 5], 1, 0.05), {"a": Clockwork(1000), "b": Clockwork(3000)})
    assert [(r["candidate"], r["context"], r["median_us"]) for r in rows] == [
        ("a", 2, pytest.approx(2000)), ("b", 2, pytest.approx(6000)),
        ("a", 5, pytest.approx(5000)), ("b", 5, pytest.approx(15000)),
    ]  # fmt: skip
    last = rows[-1]
    assert last["bytes_per_token"] == 1005
    assert last["bytes_per_s"] == pytest.approx(1005 / 15e-3)
    assert last["share_of_bandwidth"] == pytest.approx(1005 / 15e-3 / float(str(last["read_bandwidth"])))
    assert len({row["run_id"] for row in rows}) == 1


def test_a_native_step_leaves_its_context_as_it_was(tmp_path: Path) -> None:
    native = Native(random_model("2:4-int4", tmp_path, TINY), 1)
    native.set_context(7)
    assert len(native.seconds(3)) == 3 and native.model.length == 7
    assert native.bytes_per_token(7) == native.model.weight_bytes + 7 * 2 * 2 * 2 * 2 * 32


@pytest.mark.parametrize("name", FORMATS)
def test_random_models_differ_in_their_weights_only(name: str, tmp_path: Path) -> None:
    model = random_model(name, tmp_path, TINY)
    assert not list(tmp_path.iterdir())
    logits = model.forward([1, 2, 3], 1)
    assert np.isfinite(logits).all() and logits.std() > 0
    linear = sum(n * k for n, k in TINY.linear_sizes) * TINY.blocks
    bits = 8 * (model.weight_bytes - 2 * TINY.vocabulary * TINY.hidden) / linear
    pattern, width = FORMATS[name]
    index = 0 if pattern.is_dense else 2
    exact = (width + index) * pattern.keep / pattern.window
    scales = 0 if width == 16 else 8 / 128 + 2 * 32 / 128  # group multipliers; row scale and correction at K = 128
    assert exact <= bits <= exact + scales


@pytest.mark.parametrize("name", ["dense-bf16", "2:4-int4", "dense-int3"])
def test_the_random_artifact_is_the_model_that_transformers_runs(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.nmf.safetensors"
    llama7b.write_random_artifact(path, name, TINY)
    hosted = load_packed(path, "bf16" if name == "dense-bf16" else "w4a8", torch.float32, 1)
    with torch.inference_mode():
        wanted = hosted(torch.tensor([[5, 17, 3, 60]])).logits[0, -1].numpy()
    found = load_native(path).forward([5, 17, 3, 60], 1)
    assert np.corrcoef(found, wanted)[0, 1] > 0.999
    assert found == pytest.approx(wanted, abs=0.05 * float(wanted.std()))


def test_the_gguf_holds_the_same_shapes(tmp_path: Path) -> None:
    write_random_gguf(tmp_path / "a.gguf", TINY)
    tensors = {t.name: t for t in GGUFReader(tmp_path / "a.gguf").tensors}
    assert len(tensors) == 3 + 9 * TINY.blocks
    for name, (n, k) in zip(llama7b.GGUF_LAYERS, TINY.linear_sizes, strict=True):
        tensor = tensors[f"blk.1.{name}.weight"]
        values = dequantize(tensor.data, tensor.tensor_type)
        assert values.shape == (n, k) and tensor.n_bytes == n * k // 32 * 18
        assert values.std() == pytest.approx(llama7b.SPREAD, rel=0.05)


def test_groups_that_are_in_memory_together() -> None:
    names = ["dense-bf16", "2:4-int4", "dense-int4"]
    assert decode._in_memory_together(names) == [["2:4-int4", "dense-int4"], ["dense-bf16", "2:4-int4"]]
    assert decode._in_memory_together(["dense-bf16"]) == [["dense-bf16"]]
    five = ["2:4-int4", "dense-int4", "1:4-int4", "dense-int3", "dense-bf16"]
    assert decode._in_memory_together(five) == [five[:3], ["dense-int3", "2:4-int4"], ["dense-bf16", "2:4-int4"]]


@pytest.mark.parametrize(
    ("formats", "sentence"),
    [
        ([], "decode.llama7b names no format; choose from dense-bf16"),
        (["3:4"], "decode.llama7b has '3:4'; choose from"),
    ],
)
def test_formats_that_are_none(formats: list[str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(NmforgeError, match=sentence):
        decode_llama7b(DecodeConfig(llama7b=formats), 1, False, tmp_path, tmp_path / "out.json")


def test_a_run_with_libraries_deletes_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Libraries:
        def load(self, library: Library, gguf: Path, threads: int, context: int) -> Closing:
            made.append((library.name, gguf.exists(), threads, context))
            return Closing(100)

    loaded = []

    def small(name: str, scratch: Path) -> object:
        loaded.append(name)
        return random_model(name, scratch, TINY)

    monkeypatch.setattr(decode, "random_model", small)
    monkeypatch.setattr(decode, "write_random_gguf", lambda path: write_random_gguf(path, TINY))
    monkeypatch.setattr(decode, "library_process", Libraries)
    settings = DecodeConfig(llama7b=["dense-bf16", "2:4-int4"], llama7b_contexts=[4], seconds=0.01)
    decode_llama7b(settings, 1, True, tmp_path / "scratch", tmp_path / "out.json")
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert [row["candidate"] for row in rows] == ["2:4-int4", "llamacpp-q4_0", "dense-bf16", "2:4-int4"]
    assert loaded == ["2:4-int4", "dense-bf16"]  # what is in two groups is loaded once
    assert made == [("llamacpp", True, 1, 4 + decode.SPARE_TOKENS)]
    assert list((tmp_path / "scratch").iterdir()) == [] and Closing.closed == 1


def test_limits_are_rates() -> None:
    rows = limits.limit_rows(1, "r")
    assert [row["quantity"] for row in rows] == ["read_streamed", "read_resident", "int8_peak"]
    assert all(float(str(row["value"])) > 1e8 and row["repeats"] == limits.REPEATS for row in rows)
