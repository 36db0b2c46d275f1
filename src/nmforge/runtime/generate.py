"""Text from one artifact, compressed layers in mode W4A8, on one of four backends.

`native` is the C++ decoder, made for speed. The other three put transformers' model around the layers (`hosted`), so
their logits are the same bits.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nmforge.core.errors import NmforgeError
from nmforge.runtime.backends import Backend, check_threads, cpu_backend, reference_backend
from nmforge.runtime.continuation import BACKENDS, DEFAULTS, Generated, GenerationSettings, Stream, continue_text
from nmforge.runtime.native import Logits
from nmforge.runtime.native_text import generate_native


def make_backend(settings: GenerationSettings) -> Backend:
    """The backend of a hosted model; raises NmforgeError where the name is unknown or there is no thread."""
    check_threads(settings.threads)
    if settings.backend == "cpu":
        return cpu_backend(settings.threads)
    if settings.backend == "reference":
        return reference_backend
    if settings.backend == "rtl":
        from nmforge.runtime.rtl import RtlBackend  # the simulator's packages, which the others do without

        expected = cpu_backend(settings.threads) if settings.compare else None
        return RtlBackend(settings.build_dir, settings.array, settings.threads, expected)
    raise NmforgeError(f"backend {settings.backend!r} is unknown; use one of {', '.join(BACKENDS)}")


def generate(
    artifact: Path,
    prompt: str,
    settings: GenerationSettings = DEFAULTS,
    stream: Stream | None = None,
) -> Generated:
    """Continue `prompt`; nothing but the file is read.

    Raises NmforgeError where a setting makes no sense, the artifact is damaged, or sums differ.
    """
    if settings.backend == "native":
        return generate_native(artifact, prompt, settings, stream)
    backend = make_backend(settings)
    made = continue_text(artifact, prompt, settings, lambda _needed: _hosted_logits(artifact, backend), stream)
    return replace(made, simulated=getattr(backend, "totals", None))


def _hosted_logits(artifact: Path, backend: Backend) -> Logits:
    from nmforge.runtime.hosted import hosted_logits, load_hosted  # torch and transformers

    return hosted_logits(load_hosted(artifact, backend))
