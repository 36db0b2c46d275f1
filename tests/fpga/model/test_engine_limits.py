"""What an engine is not built for, in one sentence each."""

from __future__ import annotations

from typing import Any

import pytest

from nmforge.core.errors import NmforgeError
from nmforge.core.formats import Pattern
from nmforge.fpga.model.engine import Engine


def test_patterns_that_a_build_does_not_run() -> None:
    with pytest.raises(NmforgeError, match=r"cols = 17 breaks the no-stall rule .* use at most 16 columns"):
        Engine(4, 4, 4, 17, 64).keep(Pattern(2, 4))
    with pytest.raises(NmforgeError, match=r"where 2:8 does not fit; build one with windows of 8 or a multiple of it"):
        Engine(4, 4, 4, 4, 64).keep(Pattern(2, 8))
    with pytest.raises(NmforgeError, match=r"group_size 64 does not hold whole windows of 6"):
        Engine(6, 4, 4, 4, 64)


def test_the_widest_engine_is_the_last_one_that_keeps_the_no_stall_rule() -> None:
    assert Engine.widest(Pattern(2, 4), 4, 4, 4, 64).cols == 4
    assert Engine.widest(Pattern(1, 16), 4, 4, 4, 64).cols == 2
    with pytest.raises(NmforgeError, match="cols = 3 breaks the no-stall rule"):
        Engine(16, 4, 4, 3, 64).keep(Pattern(1, 16))
    with pytest.raises(NmforgeError, match="cols = 1 breaks the no-stall rule"):
        Engine.widest(Pattern(1, 16), 4, 4, 4, 16)


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ({"cols": 33}, "cols = 33 breaks the no-stall rule .* for every pattern: .* use at most 32 columns"),
        ({"cols": 17, "lanes": 2}, "use at most 16 columns or a larger group"),
        ({"group": 512}, "group 512 is not one an engine is built for; cut it to 1..256"),
        ({"kind": "device", "depth": 65536}, "banks of 65536 rows are too deep; the registers count 32768"),
    ],
)
def test_what_no_engine_is_built_for(engine: dict[str, Any], message: str) -> None:
    with pytest.raises(NmforgeError, match=message):
        Engine(**{"window": 4, "bits": 4, "rows": 8, "cols": 2, "group": 64} | engine)
