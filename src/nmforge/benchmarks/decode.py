"""Decode speed: one token a step after a context of given length, candidates alternated in one process.

candidate -> set_context(n) -> seconds of some steps -> rows of table `decode`
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nmforge.artifact.header import read_header
from nmforge.benchmarks.candidates.external.client import LibraryProcess, library_process
from nmforge.benchmarks.candidates.external.quiet import wait_until_quiet
from nmforge.benchmarks.candidates.external.registry import REGISTRY as LIBRARIES
from nmforge.benchmarks.decoders import Candidate, Native, Transformers
from nmforge.benchmarks.llama7b_artifact import FORMATS, GGUF_FORMAT, random_model, write_random_gguf
from nmforge.benchmarks.machine_limits import read_bandwidth
from nmforge.benchmarks.timer import summarize
from nmforge.config import DecodeConfig
from nmforge.core.errors import NmforgeError
from nmforge.io import provenance, records
from nmforge.io.progress import steps
from nmforge.runtime.native import load_native

SPARE_TOKENS = 64  # room in a library's cache after the longest context
ROUNDS = 5
Row = dict[str, object]


@dataclass(frozen=True)
class DecodeRun:
    """How candidates are timed: after each of `contexts` tokens, each candidate for about `seconds`."""

    model: str
    contexts: Sequence[int]
    threads: int
    seconds: float


@dataclass(frozen=True)
class ModelFiles:
    """One model in several forms: artifacts, its checkpoint for transformers, its GGUF file where there is one."""

    name: str
    artifacts: Sequence[Path]
    checkpoint: Path
    gguf: Path | None = None


@dataclass(frozen=True)
class Samples:
    """Seconds of single tokens of a candidate; bandwidth: bytes/s that memory was read at between them."""

    candidate: Candidate
    context: int
    seconds: Sequence[float]
    bandwidth: float


def decode_artifacts(files: ModelFiles, settings: DecodeConfig, threads: int, out: Path) -> None:
    """Decode with the artifacts of a model, with its checkpoint in transformers, and with its GGUF file in every
    library that decodes one; write table `decode`.

    Raises NmforgeError where there is a GGUF file and the libraries' environment is missing.
    """
    process = library_process() if files.gguf else None
    run = DecodeRun(files.name, settings.contexts, threads, settings.seconds)
    candidates: dict[str, Candidate] = {_design(path): Native(load_native(path), threads) for path in files.artifacts}
    candidates["transformers-bf16"] = Transformers(files.checkpoint, threads)
    with _in_libraries(process, files.gguf, "gguf", run) as external:
        records.write_point(out, "decode", run_decode(run, candidates | external))


def decode_llama7b(settings: DecodeConfig, threads: int, with_libraries: bool, scratch: Path, out: Path) -> None:
    """Decode with a random LLaMA-7B in the formats of the config; write table `decode`.

    The formats of a group are in memory together and alternate; the first compressed one is in every group. Each is
    loaded from an artifact in `scratch`, and libraries decode a random Q4_0 file there next to the first group; all
    files are deleted again. Raises NmforgeError for an unknown format or where the libraries' environment is missing.
    """
    groups = _in_memory_together(settings.llama7b)
    process = library_process() if with_libraries else None
    run = DecodeRun("llama-7b", settings.llama7b_contexts, threads, settings.seconds)
    rows, models = list[Row](), dict[str, Candidate]()
    for names in groups:
        models = {name: model for name, model in models.items() if name in names}  # the others leave memory first
        for name in steps(names, "write and load llama-7b", "model"):
            models[name] = models.get(name) or Native(random_model(name, scratch), threads)
        group = {name: models[name] for name in names}
        with _random_gguf(scratch, process) as gguf, _in_libraries(process, gguf, GGUF_FORMAT, run) as external:
            rows += run_decode(run, group | external)
        process = None  # libraries are measured next to the first group
    records.write_point(out, "decode", rows)


@contextmanager
def _in_libraries(
    process: LibraryProcess | None, gguf: Path | None, format_name: str, run: DecodeRun
) -> Iterator[dict[str, Candidate]]:
    """Candidates `<library>-<format_name>`: a GGUF file in every library that decodes models; none without a file."""
    found: dict[str, Candidate] = {}
    with ExitStack() as stack:
        for library in LIBRARIES:
            if library.load and process and gguf:
                decoder = process.load(library, gguf, run.threads, max(run.contexts) + SPARE_TOKENS)
                found[f"{library.name}-{format_name}"] = stack.enter_context(closing(decoder))
        yield found


@contextmanager
def _random_gguf(scratch: Path, process: LibraryProcess | None) -> Iterator[Path | None]:
    """A random LLaMA-7B for libraries, deleted again; None where none are measured."""
    if process is None:
        yield None
        return
    gguf = scratch / "llama-7b.gguf"
    try:
        write_random_gguf(gguf)
        yield gguf
    finally:
        gguf.unlink(missing_ok=True)


def _design(artifact: Path) -> str:
    return str(read_header(artifact)["design"]["id"])


def _in_memory_together(formats: Sequence[str]) -> list[list[str]]:
    """Groups of formats that fit into 20 GB: three compressed ones, then each other one with the first of those."""
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise NmforgeError(f"decode.llama7b has {unknown[0]!r}; choose from {', '.join(FORMATS)}")
    if not formats:
        raise NmforgeError(f"decode.llama7b names no format; choose from {', '.join(FORMATS)}")
    packed = [name for name in formats if FORMATS[name][1] < 16]
    others = [name for name in formats if name not in packed[:3]]
    return [group for group in [packed[:3], *([name, *packed[:1]] for name in others)] if group]


def run_decode(run: DecodeRun, candidates: Mapping[str, Candidate]) -> list[Row]:
    """Rows of table `decode`: at every context five rounds in which the candidates alternate."""
    run_id, rows = uuid.uuid4().hex[:12], list[Row]()
    for context in steps(run.contexts, f"decode {run.model}", "context"):
        counts = {name: _prepare(candidate, context, run.seconds / ROUNDS) for name, candidate in candidates.items()}
        seconds: dict[str, list[float]] = {name: [] for name in candidates}
        bandwidths = []
        for _ in range(ROUNDS):
            wait_until_quiet()
            bandwidths.append(read_bandwidth(run.threads))
            for name, candidate in candidates.items():
                wait_until_quiet()
                candidate.seconds(1)
                seconds[name] += candidate.seconds(counts[name])
        bandwidth = float(np.median(bandwidths))
        for name, candidate in candidates.items():
            rows.append(_row(run, name, Samples(candidate, context, seconds[name], bandwidth)) | {"run_id": run_id})
    return rows


def _prepare(candidate: Candidate, context: int, seconds: float) -> int:
    """Fill the context; steps that take about `seconds`, three at least."""
    candidate.set_context(context)
    once = min(candidate.seconds(3))
    return max(3, int(seconds / once))


def _row(run: DecodeRun, name: str, samples: Samples) -> Row:
    """What a row says of one candidate at one context."""
    candidate, timing = samples.candidate, summarize(list(samples.seconds))
    read = candidate.bytes_per_token(samples.context)
    rate = read / timing.median_us * 1e6 if read else None
    return {
        "model": run.model,
        "candidate": name,
        "family": candidate.family,
        "device": provenance.cpu_name(),
        "isa": candidate.isa,
        "threads": run.threads,
        "context": samples.context,
        "tokens_per_s": 1e6 / timing.median_us,
        "median_us": timing.median_us,
        "spread_us": timing.spread_us,
        "repeats": timing.repeats,
        "bytes_per_token": read,
        "bytes_per_s": rate,
        "share_of_bandwidth": rate / samples.bandwidth if rate else None,
        "read_bandwidth": samples.bandwidth,
    }
