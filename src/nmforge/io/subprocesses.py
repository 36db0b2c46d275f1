"""Runs an external program and explains a failure in one sentence."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nmforge.core.errors import NmforgeError

SHOWN_ERRORS = 3  # of a compiler, whose first errors cause the others


def last_line(output: str) -> str:
    """What a Python program says of its failure: the last line it printed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def first_errors(output: str, most: int = SHOWN_ERRORS) -> str:
    """What a compiler says of its failure: the first lines that speak of an error, else the last line."""
    lines = [line.strip() for line in output.splitlines() if "rror" in line or "ERROR" in line]
    return " | ".join(lines[:most]) or last_line(output)


def first_error(output: str) -> str:
    """`first_errors` of a tool whose first error causes all others."""
    return first_errors(output, most=1)


def environment_python(folder: Path, what: str, remedy: str) -> Path:
    """The interpreter of a separate virtual environment; raises NmforgeError where it is missing.

    what: the program that is installed there. remedy: the command that installs it.
    """
    python = (folder / "bin" / "python").absolute()
    if not python.exists():
        raise NmforgeError(f"{what} is not installed in {folder}; install it with {remedy}")
    return python


def run_program(
    command: Sequence[str | Path],
    subject: str,
    remedy: str,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    limit_s: float | None = None,
    reason: Callable[[str], str] = last_line,
) -> str:
    """Run a command to its end and return what it printed to standard output.

    subject: what runs on what, for the error, as in `Yosys on gemm.sv`. remedy: what a user does about a failure.
    environment: variables set besides those of this process. limit_s: seconds it may take. reason: finds the cause in
    its output, standard error last. Raises NmforgeError where it cannot start, takes longer, is killed or fails.
    """
    arguments, variables = [str(part) for part in command], {**os.environ, **(environment or {})}
    try:
        done = subprocess.run(arguments, cwd=cwd, env=variables, capture_output=True, text=True, timeout=limit_s)
    except OSError as error:
        raise NmforgeError(f"{subject} cannot start ({error}); {remedy}") from error
    except subprocess.TimeoutExpired as error:
        raise NmforgeError(f"{subject} took more than {limit_s:g} s; {remedy}") from error
    if done.returncode < 0:
        raise NmforgeError(f"{subject} was killed by signal {-done.returncode}; run it again with more memory free")
    if done.returncode:
        output = f"{done.stdout}\n{done.stderr}"
        raise NmforgeError(f"{subject} failed (exit status {done.returncode}): {reason(output)}; {remedy}")
    return done.stdout
