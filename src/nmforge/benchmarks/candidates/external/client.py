"""The process of the external libraries, seen from here: requests and replies, time limits, its last lines."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import queue
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nmforge.benchmarks.candidates.external.protocol import Task, from_line, to_line
from nmforge.benchmarks.candidates.external.registry import REGISTRY, Library
from nmforge.benchmarks.problem import Float32, Prepared, Problem
from nmforge.core.errors import NmforgeError

SERVER = Path(__file__).with_name("server.py")
FOLDER = Path(".venv-libraries")  # below the project's root, where every verb runs
START_S, REQUEST_S, STOP_S = 60.0, 300.0, 5.0
TAIL_LINES = 12


def missing_reason(folder: Path = FOLDER) -> str | None:
    """Why the libraries cannot run; None where `make libraries` has finished."""
    if (folder / ".installed").exists():
        return None
    return f"the libraries of {folder} are missing; run `make libraries`"


def server_command(python: str, files: Iterable[str]) -> list[str]:
    """The command that starts the server for the files of some libraries; -P: no file there shadows a package."""
    return [python, "-P", str(SERVER), *files]


class LibraryProcess:
    """A server that has started. `request` asks it one thing and waits; after `stop`, or an error, it is gone."""

    def __init__(self, command: Sequence[str], start_s: float = START_S) -> None:
        """Start it and read what it has: `kernels` and `versions`."""
        self._folder = tempfile.TemporaryDirectory(prefix="nmforge-libraries-")
        self.scratch = Path(self._folder.name)
        self._stderr = (self.scratch / "stderr").open("wb")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, text=True
        )
        self._replies: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()
        self._ids = itertools.count()
        self._dropped: list[int] = []
        self._end: NmforgeError | None = None
        hello = self.request("hello", start_s)
        self.kernels: list[str] = hello["kernels"]
        self.versions: dict[str, str] = hello["versions"]

    def request(self, op: str, limit_s: float = REQUEST_S, **fields: Any) -> dict[str, Any]:
        """The reply to one request. Raises NmforgeError with its error text, or with the server's last lines where it
        died or was too slow; then it is stopped."""
        pipe = self._process.stdin
        assert pipe is not None
        if self._end:
            raise self._end
        try:
            pipe.write(to_line({"op": op, **fields}))
            pipe.flush()
            line = self._replies.get(timeout=limit_s)
        except queue.Empty:
            raise self._lost(f"did not answer `{op}` within {limit_s:g} s") from None
        except (OSError, ValueError):
            line = None
        if line is None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # its pipe is closed before its last words are written
                self._process.wait(STOP_S)
            raise self._lost(f"ended during `{op}`")
        reply = from_line(line)
        if "error" in reply:
            raise NmforgeError(
                f"library process, {op} {fields.get('kernel', '')}: {reply['error']}; leave it out of kernels.names"
            )
        return reply

    def prepare(self, kernel: str, problem: Problem) -> Prepared:
        """Store a problem's weights there; they are released once the caller has dropped what is returned."""
        while self._dropped:
            self.request("release", id=self._dropped.pop())
        name, file, linear = next(self._ids), self.scratch / "problem.npz", problem.linear
        scales = linear.group_mult.astype(np.float32) * linear.row_scale[:, None]
        Task(linear.codes, scales, problem.x).save(file)
        made = self.request(
            "prepare", id=name, kernel=kernel, threads=problem.threads, copies=problem.copies, npz=str(file)
        )

        def timed(runs: int) -> float:
            return float(self.request("run", id=name, calls=runs)["seconds"])

        prepared = Prepared(lambda: timed(1), lambda: self._output(name), made["weight_bytes"], timed)
        weakref.finalize(prepared, self._dropped.append, name)  # a request from a finalizer could cut into another
        return prepared

    def load(self, library: Library, gguf: Path, threads: int, context: int) -> ExternalDecoder:
        """Load a whole model into a library, with a cache of `context` tokens."""
        name = next(self._ids)
        made = self.request(
            "load", id=name, library=library.name, model=str(gguf.resolve()), threads=threads, context=context
        )
        return ExternalDecoder(self, name, _read_per_token(gguf), made["cache_bytes"])

    def _output(self, name: int) -> Float32:
        file = self.scratch / "output.npy"
        self.request("output", id=name, copy=0, file=str(file))
        output: Float32 = np.load(file)
        return output

    def stop(self) -> None:
        """End it: it leaves when its input closes, and is killed where it does not."""
        if self._process.stdin:
            with contextlib.suppress(OSError):  # the other end may be closed
                self._process.stdin.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()
        self._folder.cleanup()

    def _listen(self) -> None:
        """Put every reply in the queue, and None after the last."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._replies.put(line)
        self._replies.put(None)

    def _lost(self, what: str) -> NmforgeError:
        self._process.kill()
        self._process.wait()
        lines = (self.scratch / "stderr").read_text(errors="replace").splitlines()[-TAIL_LINES:]
        self.stop()
        self._end = NmforgeError(f"the library process {what}; its last lines: " + (" | ".join(lines) or "none"))
        return self._end


@dataclass(frozen=True)
class ExternalDecoder:
    """A whole model in a library, a candidate of the decode benchmark.

    weight_bytes: what one step reads of its weights. cache_bytes: what it reads for each token of its context.
    """

    process: LibraryProcess
    name: int
    weight_bytes: int
    cache_bytes: int
    family: str = "library"
    isa: str = "library"

    def set_context(self, tokens: int) -> None:
        """Prefill an empty cache with `tokens` pseudo-random tokens."""
        self.process.request("context", id=self.name, tokens=tokens)

    def seconds(self, steps: int) -> list[float]:
        """Seconds of each of `steps` tokens, one at a time; the cache is cut back to the context after."""
        seconds: list[float] = self.process.request("decode", id=self.name, steps=steps)["seconds"]
        return seconds

    def bytes_per_token(self, context: int) -> int:
        """Weights once, keys and values of the context once."""
        return self.weight_bytes + context * self.cache_bytes

    def close(self) -> None:
        """Give its memory back."""
        self.process.request("release", id=self.name)


def _read_per_token(gguf: Path) -> int:
    """Bytes of a model's tensors, but for an embedding that is not the head as well: a step reads one row of that."""
    from gguf import GGUFReader

    sizes = {tensor.name: int(tensor.n_bytes) for tensor in GGUFReader(gguf).tensors}
    return sum(sizes.values()) - (sizes["token_embd.weight"] if "output.weight" in sizes else 0)


@cache
def library_process() -> LibraryProcess:
    """The process of this run, started when first asked for and stopped at exit.

    Raises NmforgeError where the libraries' environment is missing.
    """
    reason = missing_reason()
    if reason:
        raise NmforgeError(reason)
    process = LibraryProcess(server_command(str(FOLDER / "bin/python"), [library.file for library in REGISTRY]))
    atexit.register(process.stop)
    return process
