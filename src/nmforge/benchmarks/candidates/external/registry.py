"""The registry of external libraries: what each is called, what it offers, which file drives it.

The server imports this module where nmforge is not installed, and puts a table in the place of `nmforge.core.registry`.
"""

from __future__ import annotations

from dataclasses import dataclass

from nmforge.benchmarks.candidates.external.protocol import LoadDecoder, MakeProduct
from nmforge.core.registry import Registry


@dataclass(frozen=True)
class Offer:
    """A kernel of a library. bits: of a stored weight, 16 is a float; block: weights along K it stores together."""

    name: str
    summary: str
    bits: int
    block: int
    make: MakeProduct


@dataclass(frozen=True)
class Library:
    """A library in the environment `.venv-libraries`.

    package, module: what pip calls it, and what Python imports.
    file: the file that drives it in the server's process; it may import NumPy, the library and this package.
    kernels: what it multiplies with. load: opens a whole model, where it decodes one.
    """

    name: str
    summary: str
    package: str
    module: str
    file: str
    kernels: tuple[Offer, ...] = ()
    load: LoadDecoder | None = None


REGISTRY: Registry[Library] = Registry("library")
