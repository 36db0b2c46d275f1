"""Cache states: how many copies of the weights keep a run out of the last-level cache."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from nmforge.core.errors import NmforgeError

Cache = Literal["resident", "streamed"]
CACHES: tuple[Cache, ...] = ("resident", "streamed")
MAX_COPY_BYTES = 600 * 2**20  # of all copies together
CACHE_MULTIPLE = 6  # a run reads this many cache sizes: replacement is not LRU, and below four some bytes survive
MAX_COPIES = 128  # with more, a run would time the calls rather than the weights
SYSFS = Path("/sys/devices/system/cpu/cpu0/cache")


def last_level_cache(root: Path = SYSFS) -> int:
    """Bytes of the largest cache the kernel lists for the first core; raises NmforgeError where it lists none."""
    sizes = [_bytes(path.read_text().strip()) for path in sorted(root.glob("index*/size"))]
    if not sizes:
        raise NmforgeError(
            f"{root} lists no cache to stream weights past; run the benchmark on a machine that lists it"
        )
    return max(sizes)


def copies_needed(cache: Cache, weight_bytes: int, cache_bytes: int) -> int | None:
    """Copies of the weights that one run reads: 1 for `resident`; None where `streamed` needs more than allowed."""
    if cache == "resident":
        return 1
    copies = max(2, -(-int(CACHE_MULTIPLE * cache_bytes) // weight_bytes))
    return copies if copies <= MAX_COPIES and copies * weight_bytes <= MAX_COPY_BYTES else None


def streaming_unsupported_reason(cache_bytes: int) -> str | None:
    """Why no weights can be streamed past a cache of this size, as on a virtual machine that shows its host's."""
    if CACHE_MULTIPLE * cache_bytes <= MAX_COPY_BYTES:
        return None
    return (
        f"a last-level cache of {cache_bytes >> 20:,} MiB holds a part of any copies of weights up to "
        f"{MAX_COPY_BYTES >> 20} MiB; no kernel is timed with weights streamed from memory on this machine"
    )


def _bytes(text: str) -> int:
    """`32768K` -> 33,554,432."""
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)
