"""Switching activity of an engine: how often its signals change while it multiplies a layer.

A proxy of dynamic energy, not energy: every bit of every named signal counts the same, whatever it drives, and a signal
counts in every module that names it. Clocks are left out. It says what a pattern saves or costs on one engine.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from nmforge.core.errors import NmforgeError

CLOCKS = ("clk", "aclk")
# Parts of an engine by the instances on the way to a signal, the first that is met counts.
PARTS = {"array": "array", "edges": "scale"}
REST = "control"  # streams, skew registers, sequencer


def read_toggles(coverage: Path) -> dict[str, int]:
    """Transitions of all signal bits by part (array, scale, control), from the file a TOGGLES simulator leaves.

    Its lines are C 'FIELDS' COUNT with a field o (signal and edge) and a field h (instances from the top, a star for
    all of a generate loop). Raises NmforgeError where there is none.
    """
    toggles: Counter[str] = Counter(dict.fromkeys([*PARTS.values(), REST], 0))
    lines = coverage.read_text(encoding="latin-1").splitlines()
    for line in lines:
        head, _, count = line.rpartition(" ")
        if not head.startswith("C '"):
            continue
        fields = dict(field.split("\x02", 1) for field in head[3:-1].split("\x01")[1:])
        if fields["o"].rpartition(":")[0] not in CLOCKS:
            toggles[_part(fields["h"])] += int(count)
    if not sum(toggles.values()):
        raise NmforgeError(f"{coverage} counts no toggle; simulate with an engine built for it")
    return dict(toggles)


def _part(scope: str) -> str:
    """The part an instance path such as `TOP.nmforge_gemm.datapath.array.row[*].pe` belongs to."""
    names = [name.partition("[")[0] for name in scope.split(".")]
    return next((part for name, part in PARTS.items() if name in names), REST)
