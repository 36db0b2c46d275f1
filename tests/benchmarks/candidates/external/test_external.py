"""The peers' process: its protocol with products made of NumPy, its ends, and the real peers where they are there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nmforge.benchmarks.candidates.external import client as peers
from nmforge.benchmarks.candidates.external.client import WORKER, PeerProcess
from nmforge.benchmarks.kernels import check, run_bench
from nmforge.benchmarks.problem import Problem
from nmforge.benchmarks.registry import HERE, KERNELS
from nmforge.core import reference
from nmforge.core.compressed_linear import random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import DENSE, GemmShape, QuantScheme

FAKE = """
import os, sys, time
sys.path.insert(0, {folder!r})
import server

class Product:
    path = "numpy"
    closed = 0

    def __init__(self, weights, threads, copies):
        self.weights, self.weight_bytes = weights, 100 * threads + 10 * copies + Product.closed

    def run(self):
        os.write(1, b"chatter on descriptor 1\\n")
        print("and on stdout")
        time.sleep(0.002)

    def output(self, copy):
        return self.weights.x @ self.weights.dense().T

    def close(self):
        Product.closed += 1

class Dies(Product):
    def run(self):
        print("last words")
        os.abort()

class Hangs(Product):
    def run(self):
        time.sleep(60)

class Fails(Product):
    def __init__(self, *given):
        raise ValueError("no such tile")

server.KERNELS = {{"fake": ("numpy", Product), "dies": ("numpy", Dies), "hangs": ("numpy", Hangs),
                  "fails": ("numpy", Fails), "absent": ("no-such-library", Product)}}
server.main()
"""
REAL = [name for name, kernel in KERNELS.items() if kernel.elsewhere]


def problem(m: int = 3, copies: int = 1, n: int = 64, k: int = 512) -> Problem:
    rng = np.random.default_rng(1)
    linear = random_linear(rng, n, k, DENSE, 4, 64)
    return Problem(linear, rng.standard_normal((m, k), dtype=np.float32), 2, copies)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[PeerProcess]:
    script = tmp_path / "fake.py"
    script.write_text(FAKE.format(folder=str(WORKER.parent)))
    process = PeerProcess([sys.executable, str(script)])
    yield process
    process.stop()


def test_hello_lists_what_is_installed(fake: PeerProcess) -> None:
    assert fake.kernels == ["fake", "dies", "hangs", "fails"]
    assert fake.versions["numpy"] == np.__version__


def test_a_product_travels_there_and_back(fake: PeerProcess) -> None:
    task = problem()
    prepared = fake.prepare("fake", task)
    expected = task.x @ reference.dequantize(task.linear).T
    np.testing.assert_allclose(prepared.output(), expected, rtol=1e-4, atol=1e-4)
    assert prepared.weight_bytes == 210


def test_times_are_those_of_the_other_process_and_prints_are_no_replies(fake: PeerProcess) -> None:
    prepared = fake.prepare("fake", problem())
    assert prepared.timed is not None
    assert 0.002 <= prepared.timed(3) < 0.02
    assert "chatter on descriptor 1" in (fake.scratch / "stderr").read_text()


def test_dropped_products_are_released(fake: PeerProcess) -> None:
    for _ in range(3):
        fake.prepare("fake", problem())
    assert fake.prepare("fake", problem(copies=4)).weight_bytes == 243


def test_a_failed_request_is_an_error_and_the_process_goes_on(fake: PeerProcess) -> None:
    with pytest.raises(NmforgeError, match="peer process, prepare fails: ValueError: no such tile"):
        fake.prepare("fails", problem())
    with pytest.raises(NmforgeError, match="operation 'main' is unknown"):
        fake.request("main")
    assert fake.prepare("fake", problem()).output().shape == (3, 64)


def test_a_dead_process_leaves_its_last_words(fake: PeerProcess) -> None:
    prepared = fake.prepare("dies", problem())
    for _ in range(2):
        with pytest.raises(NmforgeError, match=r"the peer process ended during `run`; its last lines: .*last words"):
            prepared.run()


def test_a_slow_process_is_stopped(fake: PeerProcess) -> None:
    fake.prepare("hangs", problem())
    with pytest.raises(NmforgeError, match=r"did not answer `run` within 0\.2 s"):
        fake.request("run", 0.2, id=0, calls=1)
    assert fake._process.poll() is not None


def test_stopping_ends_the_process_and_its_files(fake: PeerProcess) -> None:
    scratch = fake.scratch
    fake.stop()
    assert fake._process.poll() == 0 and not scratch.exists()


def test_the_worker_without_libraries_offers_nothing() -> None:
    process = PeerProcess([sys.executable, str(WORKER)])
    found = (process.kernels, set(process.versions))
    process.stop()
    assert found == ([], {"numpy"})


def test_reasons(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def reason(name: str, k: int) -> str | None:
        return KERNELS[name].supports(DENSE, QuantScheme(4, 64), GemmShape(1, 64, k))

    monkeypatch.chdir(tmp_path)
    sentence = "the peer libraries of .venv-libraries are missing; run `make libraries`"
    assert {reason(name, 512) for name in REAL} == {sentence}
    with pytest.raises(NmforgeError, match="run `make libraries`"):
        run_bench([(64, 512)], [1], [1], tmp_path / "b.json", kernels=[*HERE, "llamacpp-q4_0"])
    assert not list(tmp_path.iterdir())
    peers.FOLDER.mkdir()
    (peers.FOLDER / ".installed").touch()
    assert {reason(name, 512) for name in REAL} == {None}
    assert reason("llamacpp-q4_k", 576) == "it stores blocks of 256 weights, and K is 576"
    assert reason("llamacpp-q4_0", 576) is None


@pytest.mark.skipif(peers.why_missing() is not None, reason=str(peers.why_missing()))
@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize(("m", "copies"), [(1, 1), (5, 3), (16, 2)])
def test_real_peers_multiply_right(name: str, m: int, copies: int) -> None:
    task = problem(m, copies)
    prepared = KERNELS[name].prepare(task)
    check(KERNELS[name], task, prepared.output())
    assert prepared.timed is not None and prepared.timed(2) > 0
    assert prepared.weight_bytes >= 64 * 512 / 2


@pytest.mark.skipif(peers.why_missing() is not None, reason=str(peers.why_missing()))
@pytest.mark.parametrize("name", REAL)
def test_real_peers_multiply_by_every_copy(name: str, tmp_path: Path) -> None:
    task, ask, file = problem(), peers.peers().request, tmp_path / "y.npy"
    scales = task.linear.group_mult.astype(np.float32) * task.linear.row_scale[:, None]
    np.savez(tmp_path / "p.npz", codes=task.linear.codes, scales=scales, x=task.x)
    ask("prepare", id=-1, kernel=name, threads=1, copies=3, npz=str(tmp_path / "p.npz"))
    found = []
    for copy in range(3):
        ask("output", id=-1, copy=copy, file=str(file))
        found.append(np.roll(np.load(file), -copy, axis=1))
    ask("release", id=-1)
    np.testing.assert_allclose(found[1:], found[:1] * 2, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(peers.why_missing() is not None, reason=str(peers.why_missing()))
def test_real_peers_have_rows(tmp_path: Path) -> None:
    rows = run_bench([(64, 512)], [1], [1, 2], tmp_path / "b.json", kernels=[*REAL, "ours-dense-int4"], seconds=0.001,
                     caches=("resident",), llama7b=False)  # fmt: skip
    assert [(row["threads"], row["kernel"]) for row in rows] == [
        (threads, name) for threads in (1, 2) for name in [*REAL, "ours-dense-int4"]
    ]
