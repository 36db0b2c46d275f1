"""The process of the external libraries: its protocol with a library of NumPy, its ends, and the real libraries."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nmforge.benchmarks.candidates.external import client
from nmforge.benchmarks.candidates.external.client import LibraryProcess, server_command
from nmforge.benchmarks.candidates.external.protocol import Task
from nmforge.benchmarks.candidates.external.registry import REGISTRY as LIBRARIES
from nmforge.benchmarks.candidates.registry import REGISTRY, default_kernels
from nmforge.benchmarks.kernels import BenchSettings, check, run_bench
from nmforge.benchmarks.problem import Problem
from nmforge.core import reference
from nmforge.core.compressed_linear import random_linear
from nmforge.core.errors import NmforgeError
from nmforge.core.formats import DENSE, GemmShape, QuantScheme

FAKE = """
import os, sys, time
from nmforge.benchmarks.candidates.external.registry import REGISTRY, Library, Offer

class Product:
    path = "numpy"
    closed = 0

    def __init__(self, task, threads, copies):
        self.task, self.weight_bytes = task, 100 * threads + 10 * copies + Product.closed

    def run(self):
        os.write(1, b"chatter on descriptor 1\\n")
        print("and on stdout")
        time.sleep(0.002)

    def output(self, copy):
        return self.task.x @ self.task.dense().T

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

class Decoder:
    description, cache_bytes = "a model of NumPy", 7

    def __init__(self, model, threads, context):
        self.model, self.tokens = model, 0

    def fill(self, tokens):
        self.tokens = tokens
        return 0.5

    def decode(self, steps):
        return [float(self.tokens)] * steps

    def close(self):
        pass

REGISTRY.add(Library("numpy", "NumPy itself", "numpy", "numpy", __file__, tuple(
    Offer(name, name, 32, 1, make)
    for name, make in [("fake", Product), ("dies", Dies), ("hangs", Hangs), ("fails", Fails)]
), Decoder))
REGISTRY.add(Library("absent", "not installed", "no-such", "no_such", __file__, (Offer("absent", "-", 4, 1, Product),)))
"""
LATE_WORDS = """
import sys, time
write = sys.excepthook
sys.excepthook = lambda *error: (time.sleep(0.3), write(*error))
"""
REAL = [kernel.name for kernel in REGISTRY if kernel.external]
SITE_PACKAGES = str(Path(np.__file__).parents[1])
needs_libraries = pytest.mark.skipif(client.missing_reason() is not None, reason=str(client.missing_reason()))


def problem(m: int = 3, copies: int = 1, n: int = 64, k: int = 512) -> Problem:
    rng = np.random.default_rng(1)
    linear = random_linear(rng, n, k, DENSE, 4, 64)
    return Problem(linear, rng.standard_normal((m, k), dtype=np.float32), 2, copies)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LibraryProcess]:
    """A library that is one file, in a Python where nmforge is not installed: -S leaves its editable install out."""
    library = tmp_path / "a library.py"
    library.write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", SITE_PACKAGES)
    python, *rest = server_command(sys.executable, [str(library)])
    process = LibraryProcess([python, "-S", *rest])
    yield process
    process.stop()


def test_hello_lists_what_is_installed(fake: LibraryProcess) -> None:
    assert fake.kernels == ["fake", "dies", "hangs", "fails"]
    assert fake.versions == {"numpy": np.__version__}


def test_a_decoder_of_a_library(fake: LibraryProcess) -> None:
    fake.request("load", id=5, library="numpy", model="m.gguf", threads=1, context=64)
    assert fake.request("context", id=5, tokens=32) == {"seconds": 0.5}
    assert fake.request("decode", id=5, steps=2) == {"seconds": [32.0, 32.0]}
    assert fake.request("release", id=5) == {}


def test_a_product_travels_there_and_back(fake: LibraryProcess) -> None:
    task = problem()
    prepared = fake.prepare("fake", task)
    expected = task.x @ reference.dequantize(task.linear).T
    np.testing.assert_allclose(prepared.output(), expected, rtol=1e-4, atol=1e-4)
    assert prepared.weight_bytes == 210


def test_times_are_those_of_the_other_process_and_prints_are_no_replies(fake: LibraryProcess) -> None:
    prepared = fake.prepare("fake", problem())
    assert prepared.timed is not None
    assert prepared.timed(3) >= 0.002  # the fake product sleeps that long
    assert "chatter on descriptor 1" in (fake.scratch / "stderr").read_text()


def test_dropped_products_are_released(fake: LibraryProcess) -> None:
    for _ in range(3):
        fake.prepare("fake", problem())
    assert fake.prepare("fake", problem(copies=4)).weight_bytes == 243


def test_a_failed_request_is_an_error_and_the_process_goes_on(fake: LibraryProcess) -> None:
    with pytest.raises(NmforgeError, match="library process, prepare fails: ValueError: no such tile"):
        fake.prepare("fails", problem())
    with pytest.raises(NmforgeError, match="operation 'main' is unknown"):
        fake.request("main")
    assert fake.prepare("fake", problem()).output().shape == (3, 64)


def test_a_dead_process_leaves_its_last_words(fake: LibraryProcess) -> None:
    prepared = fake.prepare("dies", problem())
    for _ in range(2):
        with pytest.raises(NmforgeError, match=r"the library process ended during `run`; its last lines: .*last words"):
            prepared.run()


def test_a_slow_process_is_stopped(fake: LibraryProcess) -> None:
    fake.prepare("hangs", problem())
    with pytest.raises(NmforgeError, match=r"did not answer `run` within 0\.2 s"):
        fake.request("run", 0.2, id=0, calls=1)
    assert fake._process.poll() is not None


def test_stopping_ends_the_process_and_its_files(fake: LibraryProcess) -> None:
    scratch = fake.scratch
    fake.stop()
    assert fake._process.poll() == 0 and not scratch.exists()


def test_the_server_sees_its_own_folder_of_nmforge_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "greedy.py"
    library.write_text(LATE_WORDS + "import nmforge.core.errors\n")
    monkeypatch.setenv("PYTHONPATH", SITE_PACKAGES)
    python, *rest = server_command(sys.executable, [str(library)])
    with pytest.raises(NmforgeError, match=r"ended during `hello`.*No module named 'nmforge.core.errors'"):
        LibraryProcess([python, "-S", *rest])


def test_our_libraries_where_none_is_installed() -> None:
    process = LibraryProcess(server_command(sys.executable, [library.file for library in LIBRARIES]))
    found = (process.kernels, set(process.versions))
    process.stop()
    assert found == ([], {"numpy"})


def test_a_task_travels_as_a_file(tmp_path: Path) -> None:
    linear = problem().linear
    scales = linear.group_mult.astype(np.float32) * linear.row_scale[:, None]
    Task(linear.codes, scales, problem().x).save(tmp_path / "t.npz")
    task = Task.load(str(tmp_path / "t.npz"))
    assert (task.n, task.k, task.m, task.groups) == (64, 512, 3, 8)
    np.testing.assert_allclose(task.dense(), reference.dequantize(linear), rtol=1e-6)


def test_reasons(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def reason(name: str, k: int) -> str | None:
        return REGISTRY.get(name).unsupported_reason(DENSE, QuantScheme(4, 64), GemmShape(1, 64, k))

    monkeypatch.chdir(tmp_path)
    sentence = "the libraries of .venv-libraries are missing; run `make libraries`"
    assert {reason(name, 512) for name in REAL} == {sentence}
    with pytest.raises(NmforgeError, match="run `make libraries`"):
        run_bench(BenchSettings([(64, 512)], [1], [1], [*default_kernels(), "llamacpp-q4_0"]), tmp_path / "b.json")
    assert not list(tmp_path.iterdir())
    client.FOLDER.mkdir()
    (client.FOLDER / ".installed").touch()
    assert {reason(name, 512) for name in REAL} == {None}
    assert reason("llamacpp-q4_k", 576) == "it stores blocks of 256 weights, and K is 576"
    assert reason("llamacpp-q4_0", 576) is None


@needs_libraries
@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize(("m", "copies"), [(1, 1), (5, 3), (16, 2)])
def test_real_libraries_multiply_right(name: str, m: int, copies: int) -> None:
    task = problem(m, copies)
    prepared = REGISTRY.get(name).prepare(task)
    check(REGISTRY.get(name), task, prepared.output())
    assert prepared.timed is not None and prepared.timed(2) > 0
    assert prepared.weight_bytes >= 64 * 512 / 2


@needs_libraries
@pytest.mark.parametrize("name", REAL)
def test_real_libraries_multiply_by_every_copy(name: str, tmp_path: Path) -> None:
    task, ask, file = problem(), client.library_process().request, tmp_path / "y.npy"
    scales = task.linear.group_mult.astype(np.float32) * task.linear.row_scale[:, None]
    Task(task.linear.codes, scales, task.x).save(tmp_path / "p.npz")
    ask("prepare", id=-1, kernel=name, threads=1, copies=3, npz=str(tmp_path / "p.npz"))
    found = []
    for copy in range(3):
        ask("output", id=-1, copy=copy, file=str(file))
        found.append(np.roll(np.load(file), -copy, axis=1))
    ask("release", id=-1)
    np.testing.assert_allclose(found[1:], found[:1] * 2, rtol=1e-5, atol=1e-5)


@needs_libraries
def test_real_libraries_have_rows(tmp_path: Path) -> None:
    kernels = [*REAL, "ours-dense-int4"]
    settings = BenchSettings([(64, 512)], [1], [1, 2], kernels, caches=("resident",), seconds=0.001, llama7b=False)
    rows = run_bench(settings, tmp_path / "b.json")
    assert [(row["threads"], row["kernel"]) for row in rows] == [
        (threads, name) for threads in (1, 2) for name in kernels
    ]
