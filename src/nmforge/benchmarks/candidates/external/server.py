"""The process of the external libraries: reads requests, drives the libraries, replies.

    python -P server.py FILE...     each FILE drives a library; `protocol` says what is asked and replied

The python of `.venv-libraries` runs this file by itself. nmforge is not installed there: of its modules only those of
this folder exist, and a table stands in for its registry. What the libraries print goes to stderr.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from nmforge.benchmarks.candidates.external.protocol import Message
    from nmforge.benchmarks.candidates.external.registry import Library

PACKAGE = "nmforge.benchmarks.candidates.external"


class Table(dict[str, "Library"]):
    """Stands in for `nmforge.core.registry.Registry`: keeps what the files of libraries register."""

    def __init__(self, kind: str) -> None:
        super().__init__()

    def add(self, entry: Library) -> Library:
        """Keep an entry."""
        self[entry.name] = entry
        return entry


def import_libraries(files: Iterable[str]) -> dict[str, Library]:
    """Import the files as modules of this folder's package; the libraries they register."""
    parents = PACKAGE.split(".")
    for depth in range(1, len(parents)):
        _empty_module(".".join(parents[:depth]), __path__=[])
    _empty_module(PACKAGE, __path__=[str(Path(__file__).parent)])
    _empty_module("nmforge.core", __path__=[])
    _empty_module("nmforge.core.registry", Registry=Table)
    for file in files:
        name = f"{PACKAGE}.{Path(file).stem}"
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec and spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    found: dict[str, Library] = importlib.import_module(f"{PACKAGE}.registry").REGISTRY
    return found


def _empty_module(name: str, **attributes: Any) -> None:
    sys.modules[name] = ModuleType(name)
    vars(sys.modules[name]).update(attributes)


class Server:
    """The operations; each takes a request and returns the fields of its reply."""

    def __init__(self, libraries: dict[str, Library]) -> None:
        self._protocol, self._quiet = (importlib.import_module(f"{PACKAGE}.{name}") for name in ("protocol", "quiet"))
        self._libraries = {name: lib for name, lib in libraries.items() if importlib.util.find_spec(lib.module)}
        self._kernels = {offer.name: offer for library in self._libraries.values() for offer in library.kernels}
        self._held: dict[int, Any] = {}
        self._lasted: dict[int, float] = {}
        operations = (
            self.hello, self.prepare, self.output, self.run, self.load, self.context, self.decode, self.release,
        )  # fmt: skip
        self._operations: dict[str, Callable[[Message], Message]] = {one.__name__: one for one in operations}

    def answer(self, line: str) -> str:
        """The reply to the request of a line, an error text where it failed."""
        try:
            request = self._protocol.from_line(line)
            if request["op"] not in self._operations:
                reply: Message = {"error": f"operation {request['op']!r} is unknown"}
            else:
                reply = self._operations[request["op"]](request)
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        written: str = self._protocol.to_line(reply)
        return written

    def hello(self, request: Message) -> Message:
        """Names and versions of what is installed here."""
        packages = ["numpy", *(library.package for library in self._libraries.values())]
        return {"versions": {name: metadata.version(name) for name in packages}, "kernels": list(self._kernels)}

    def prepare(self, request: Message) -> Message:
        """Store the weights of a task as a kernel reads them."""
        make, task = self._kernels[request["kernel"]].make, self._protocol.Task.load(request["npz"])
        product = self._held[request["id"]] = make(task, request["threads"], request["copies"])
        return {"weight_bytes": product.weight_bytes, "path": product.path}

    def output(self, request: Message) -> Message:
        """The product by one copy, as a file."""
        np.save(request["file"], self._held[request["id"]].output(request["copy"]))
        self._quiet.wait_until_quiet()
        return {}

    def run(self, request: Message) -> Message:
        """Wake the threads, time the runs, let the threads fall asleep."""
        name, call = request["id"], self._held[request["id"]].run
        self._quiet.call_for(self._quiet.waking_seconds(self._lasted.get(name, 0.0)), call)
        start = time.perf_counter()
        for _ in range(request["calls"]):
            call()
        self._lasted[name] = (time.perf_counter() - start) / request["calls"]
        self._quiet.wait_until_quiet()
        return {"seconds": self._lasted[name]}

    def load(self, request: Message) -> Message:
        """Load a whole model."""
        load = self._libraries[request["library"]].load
        assert load is not None
        decoder = self._held[request["id"]] = load(request["model"], request["threads"], request["context"])
        return {"cache_bytes": decoder.cache_bytes, "description": decoder.description}

    def context(self, request: Message) -> Message:
        """Prefill a model's cache."""
        seconds = self._held[request["id"]].fill(request["tokens"])
        self._quiet.wait_until_quiet()
        return {"seconds": seconds}

    def decode(self, request: Message) -> Message:
        """Time single tokens."""
        seconds = self._held[request["id"]].decode(request["steps"])
        self._quiet.wait_until_quiet()
        return {"seconds": seconds}

    def release(self, request: Message) -> Message:
        """Forget a product or a model."""
        self._lasted.pop(request["id"], None)
        self._held.pop(request["id"]).close()
        return {}


def main(files: Iterable[str]) -> None:
    """Answer until stdin ends. Descriptor 1 becomes stderr, so that no print of a library is taken for a reply."""
    with os.fdopen(os.dup(1), "w") as replies:
        os.dup2(2, 1)
        server = Server(import_libraries(files))
        for line in sys.stdin:
            replies.write(server.answer(line))
            replies.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
