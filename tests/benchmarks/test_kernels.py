"""The benchmark: the points it plans and the rows it writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nmforge.benchmarks import shapes
from nmforge.benchmarks.candidates.registry import REGISTRY, default_kernels
from nmforge.benchmarks.kernels import BenchSettings, kernels_like, kernels_of, plan, run_bench
from nmforge.config import KernelsConfig, parse_config
from nmforge.core.errors import NmforgeError

COLUMNS = {
    "kernel", "family", "pattern", "bits", "group_size", "stage", "device", "isa", "threads", "m", "n", "k", "cache",
    "copies", "median_us", "spread_us", "repeats", "weight_bytes", "run_id",
}  # fmt: skip


def small(**changes: object) -> BenchSettings:
    """One layer of 48 x 192, one token, one thread, weights in the cache, as short as it goes."""
    settings = BenchSettings([(48, 192)], [1], [1], caches=("resident",), seconds=0.001, llama7b=False)
    return replace(settings, **changes)  # type: ignore[arg-type]


def test_llama_shapes_are_planned_once() -> None:
    every = REGISTRY.names()
    points = plan(BenchSettings([(4096, 4096)], [1, 16], [1], every))
    assert len(points) == 6
    assert [(p.shape.n, p.shape.k) for p in points[4:]] == [(11008, 4096), (4096, 11008)]
    assert all(p.cache == "streamed" and all(kernel.at_llama7b for kernel in p.kernels) for p in points[4:])
    assert {kernel.name for kernel in points[4].kernels} >= {"ours-dense-int3", "gpu-torch-int4", "torch-bf16"}
    alone = plan(BenchSettings([], [1], [1], every))
    assert [(p.shape.n, p.shape.k) for p in alone] == [(4096, 4096), (11008, 4096), (4096, 11008)]
    assert plan(BenchSettings([], [1], [1], ["torch-fp32"])) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_nothing_that_can_be_measured_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        NmforgeError, match="none of the kernels can be measured here: gpu-torch-fp16: torch finds no CUDA"
    ):
        run_bench(small(kernels=["gpu-torch-fp16"]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_group_sizes() -> None:
    assert [shapes.bench_group_size(k) for k in (4096, 576, 100)] == [128, 64, 100]


def test_rows(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    rows = run_bench(small(tokens=[1, 4], threads=[1, 2]), out)
    assert json.loads(out.read_text())["rows"] == rows
    here = [REGISTRY.get(name) for name in default_kernels()]
    cpu = [row for row in rows if not str(row["device"]).startswith("cuda")]
    assert [(row["kernel"], row["m"], row["threads"]) for row in cpu] == [
        (kernel.name, m, threads)
        for m in (1, 4)
        for threads in (1, 2)
        for kernel in here
        if not kernel.on_gpu and (m == 1 or kernel.stage != "read")
    ]
    assert all(set(row) == COLUMNS and row["median_us"] > 0 and row["repeats"] >= 3 for row in rows)  # type: ignore[operator]
    assert {row["run_id"] for row in rows} == {rows[0]["run_id"]}


def test_streamed_rows_cycle_through_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmforge.benchmarks.kernels.last_level_cache", lambda: 100_000)
    names = ["torch-fp32", "ours-dense-int4", "onnxruntime-int4"]
    rows = run_bench(small(kernels=names, caches=("streamed",)), tmp_path / "b.json")
    assert [row["copies"] for row in rows] == [-(-600_000 // int(str(row["weight_bytes"]))) for row in rows]


def test_rows_of_another_process_hold_its_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = REGISTRY.get("torch-fp32")
    there = replace(torch, name="there", prepare=lambda task: replace(torch.prepare(task), timed=lambda runs: 5e-3))
    monkeypatch.setitem(REGISTRY._entries, "there", there)
    (row,) = run_bench(small(kernels=["there"]), tmp_path / "b.json")
    assert row["median_us"] == pytest.approx(5000)


def test_unknown_kernel(tmp_path: Path) -> None:
    with pytest.raises(NmforgeError, match=r"kernels\.names: kernel 'cublas' is unknown; use one of gpu-ours-1:4-int4"):
        run_bench(small(kernels=["cublas"]), tmp_path / "b.json")
    assert not list(tmp_path.iterdir())


def test_kernels_by_name() -> None:
    known = ("ours-2:4-int4", "gpu-torch-fp16", "gpu-ours-2:4-int4")
    assert kernels_like([], known) == known
    assert kernels_like(["gpu-*"], known) == known[1:]
    assert kernels_like(["*-2:4-int4", "gpu-torch-fp16"], known) == known
    with pytest.raises(NmforgeError, match="--kernels 'cpu-\\*' matches no kernel; choose from ours-2:4-int4"):
        kernels_like(["gpu-*", "cpu-*"], known)


def test_kernels_that_a_config_asks_for() -> None:
    assert kernels_of(KernelsConfig(), []) == default_kernels()
    assert kernels_of(KernelsConfig(libraries=True), []) == tuple(REGISTRY.names())
    named = KernelsConfig(names=["torch-fp32", "ours-dense-int4"])
    assert kernels_of(named, []) == ("torch-fp32", "ours-dense-int4")
    assert kernels_of(named, ["ours-*"]) == ("ours-dense-int4",)


def test_a_config_that_names_an_unknown_kernel() -> None:
    designs = [{"id": "d"}, {"id": "a", "quantizer": "rtn", "bits": 4}]
    document = {"model": {"name": "m", "source": "toy"}, "text": {"source": "a.md"}, "designs": designs}
    with pytest.raises(NmforgeError, match=r"kernels\.names\.0: .*kernel 'cublas' is unknown; use one of gpu-ours"):
        parse_config(document | {"kernels": {"names": ["cublas"]}}, "config.yaml")
