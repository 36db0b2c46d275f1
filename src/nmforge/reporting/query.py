"""Which rows of a measurement table answer a question, and where a number came from.

Shared by scaling, claims and figures, so that the ledger and the pictures can never pick different rows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from nmforge.core.lazy import pd
from nmforge.reporting.verdicts import Interval

Tables: TypeAlias = "Mapping[str, pd.DataFrame]"  # by name

# Rows are compared only inside one of these groups: same run, same machine, same shape, same cache state.
PAIRED = ("run_id", "device", "threads", "m", "n", "k", "cache")


@dataclass(frozen=True)
class Query:
    """A kind of kernel: who wrote it, its pattern and weight bits, and which part of the work is timed.

    family: `nmforge`, LIBRARY, `baseline` (the paper's unfused path) or `roofline`.
    stage: `matmul`, `end_to_end` or `read`.
    """

    family: str
    pattern: str
    bits: tuple[int, ...]
    stage: str = "matmul"


@dataclass(frozen=True)
class Pair:
    """Two rows that were measured alternately in one run."""

    row: pd.Series
    baseline: pd.Series

    @property
    def ratio(self) -> float:
        """Time of the baseline over time of the row."""
        return float(self.baseline["median_us"]) / float(self.row["median_us"])

    @property
    def interval(self) -> Interval:
        """The ratio with its interval, and for sparse against dense weights of the same kernels its limit.

        The limit is what fewer bytes or fewer multiplications allow, the larger of the two.
        """
        return ratio_interval(self.ratio, *map(relative_error, (self.row, self.baseline)), limit=self._limit())

    def _limit(self) -> float:
        """No limit where more than the pattern differs."""
        row, baseline = self.row, self.baseline
        same = row["family"] == baseline["family"] == "nmforge" and row["bits"] == baseline["bits"]
        if not same or pattern_name(baseline["pattern"]) != "dense":
            return math.inf
        keep, _, window = str(row["pattern"]).partition(":")
        multiplications = int(window) / int(keep) if window else 1.0
        return max(multiplications, float(baseline["weight_bytes"]) / float(row["weight_bytes"]))


def relative_error(row: pd.Series) -> float:
    """Standard error of a median time over the time.

    A median of n samples of spread s (half the distance between the quartiles, 0.674 standard deviations) has a
    standard error of 1.253 s / (0.674 sqrt n).
    """
    return 1.253 / 0.674 * float(row["spread_us"]) / float(row["median_us"]) / math.sqrt(float(row["repeats"]))


def ratio_interval(ratio: float, *errors: float, limit: float = math.inf) -> Interval:
    """A ratio with its 95 % interval: relative standard errors of its two sides add in squares, 1.96 of them wide."""
    width = math.exp(1.96 * math.hypot(*errors))
    return Interval(ratio, ratio / width, ratio * width, limit)


LIBRARY = "library"  # how column `family` marks code of others
OURS_2OF4 = Query("nmforge", "2:4", (4,))
OURS_INT4 = Query("nmforge", "dense", (4,))
OURS_INT3 = Query("nmforge", "dense", (3,))
LIBRARY_FLOAT = Query(LIBRARY, "dense", (16, 32))  # the fastest library in fp32, bf16 or fp16 is the baseline
LIBRARY_INT4 = Query(LIBRARY, "dense", (4,))
READ_2OF4 = Query("roofline", "2:4", (4,), "read")  # reads the bytes of the 2:4 weights and multiplies nothing

PAPER_DESIGN = "paper-2of4"  # the design point that follows the paper's recipe
LLAMA7B_MODEL = "llama-7b"  # model of table `decode`
WHOLE_MODEL = "whole model, one token after another"  # scope of table `scaling`; otherwise linear layers alone
HEADLINE_CONTEXT = 512  # tokens in the cache where figures and ledger show one context

LIBRARIES = {"onnxruntime": "ONNX Runtime", "torch": "torch", "llamacpp": "llama.cpp", "openvino": "OpenVINO"}


def library_name(kernel: str) -> str:
    """Name of the library of a kernel such as `onnxruntime-int4`; the prefix itself where the library is not known."""
    prefix = re.split(r"[- ]", kernel.removeprefix("gpu-"))[0]
    return LIBRARIES.get(prefix, prefix)


def pattern_name(pattern: object) -> str:
    """`dense` for any keep:window with keep == window, the pattern itself otherwise."""
    keep, _, window = str(pattern).partition(":")
    return "dense" if keep == window or not window else str(pattern)


def multipliers(row: pd.Series) -> int:
    """Multipliers of an array in the `fpga` table: rows x cols PEs with `lanes` of them each."""
    return int(row["rows"]) * int(row["cols"]) * int(row["lanes"])


def platform_name(device: object) -> str:
    """`GPU` for a device string that starts with `cuda`, else `CPU`."""
    return "GPU" if str(device).startswith("cuda") else "CPU"


def device_name(device: object) -> str:
    """The device's own name, without the `cuda: ` that marks a GPU."""
    return str(device).removeprefix("cuda: ")


def on_platform(table: pd.DataFrame, platform: str) -> pd.DataFrame:
    """Rows of a kernel table measured on `CPU` or `GPU`."""
    if table.empty:
        return table
    return table[[platform_name(device) == platform for device in table["device"]]]


def newest_device(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the device that was measured last: a GPU of this machine replaces a recorded one."""
    if table.empty:
        return table
    last = table.sort_values(["date", "device"], kind="stable").iloc[-1]
    newest: pd.DataFrame = table[table["device"] == last["device"]]
    return newest


def gpu_or_cpu(table: pd.DataFrame, platform: str) -> pd.DataFrame:
    """Rows of a platform; for GPUs, those of one device."""
    rows = on_platform(table, platform)
    return newest_device(rows) if platform == "GPU" else rows


def matching(kernels: pd.DataFrame, query: Query) -> pd.DataFrame:
    """Kernel rows of the queried kind."""
    if kernels.empty:
        return kernels
    return kernels[
        (kernels["family"] == query.family)
        & (kernels["pattern"].map(pattern_name) == query.pattern)
        & kernels["bits"].isin(query.bits)
        & (kernels["stage"] == query.stage)
    ]


def at(kernels: pd.DataFrame, **fixed: object) -> pd.DataFrame:
    """Rows whose columns equal the given values, e.g. `at(kernels, m=1, cache="streamed")`."""
    for column, value in fixed.items():
        if kernels.empty:
            return kernels
        kernels = kernels[kernels[column] == value]
    return kernels


def headline_context(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at a context of 512 tokens; those at the shortest one where there are none."""
    if rows.empty:
        return rows
    wanted = HEADLINE_CONTEXT if (rows["context"] == HEADLINE_CONTEXT).any() else rows["context"].min()
    return rows[rows["context"] == wanted]


def with_pattern(rows: pd.DataFrame, pattern: str, bits: int | None = None) -> pd.DataFrame:
    """Rows of one pattern, `dense` included, and of one number of bits where it is given."""
    if rows.empty:
        return rows
    rows = rows[rows["pattern"].map(pattern_name) == pattern]
    return rows if bits is None else rows[rows["bits"] == bits]


def most_threads(kernels: pd.DataFrame) -> pd.DataFrame:
    """The rows that used the largest thread count of the table."""
    return kernels if kernels.empty else kernels[kernels["threads"] == kernels["threads"].max()]


def fastest(rows: pd.DataFrame) -> pd.Series:
    """The row with the smallest median time; ties go to the kernel whose name sorts first."""
    return rows.sort_values(["median_us", "kernel"], kind="stable").iloc[0]


def pair(kernels: pd.DataFrame, query: Query, baseline: Query) -> Pair | None:
    """The queried kernel against a baseline of the same run; None if no run holds both.

    Inside a run the fastest instance of each side counts. Of several runs, the one with the median ratio
    is returned (the lower one of two), so the pair is always two rows that were really measured together.
    """
    sides = matching(kernels, query), matching(kernels, baseline)
    if sides[0].empty or sides[1].empty:
        return None
    left, right = (dict(list(side.groupby(list(PAIRED)))) for side in sides)
    pairs = [Pair(fastest(left[key]), fastest(right[key])) for key in left if key in right]
    pairs.sort(key=lambda p: p.ratio)
    return pairs[(len(pairs) - 1) // 2] if pairs else None


def origin(rows: pd.DataFrame | Iterable[pd.Series], here: str | None) -> str:
    """`measured here` if every row was taken on host `here`, else `recorded on <device, date>`.

    Several devices or dates are listed in sorted order. Needs the provenance columns `host` and `date`;
    `device` is used where a table has it, `host` otherwise.
    """
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    if here is not None and set(frame["host"]) == {here}:
        return "measured here"
    place = frame["device"] if "device" in frame else frame["host"]
    places = sorted({f"{device_name(name)}, {str(date)[:10]}" for name, date in zip(place, frame["date"], strict=True)})
    return f"recorded on {'; '.join(places)}"
