"""The ledger: verdict boundaries, order, a reason wherever a row is missing, and where numbers come from."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from factories.ledgers import KERNELS
from factories.rows import CPU, WHERE

from nmforge.core.errors import NmforgeError
from nmforge.reporting.claims.registry import REGISTRY
from nmforge.reporting.ledger import ledger, ledger_tables
from nmforge.reporting.tables.registry import REGISTRY as TABLES
from nmforge.reporting.verdicts import verdict


@pytest.mark.parametrize(
    ("ours", "claimed", "expected"),
    [
        (3.8, 4.0, "reproduced"),
        (3.799, 4.0, "not reached"),
        (4.2, 4.0, "reproduced"),
        (4.201, 4.0, "exceeded"),
        (1.0, 1.0, "reproduced"),
        (0.0, 1.0, "not reached"),
        (math.nan, 1.0, "not measurable here"),
    ],
)
def test_verdict_boundaries(ours: float, claimed: float, expected: str) -> None:
    assert verdict(ours, claimed) == expected


def test_no_tables_at_all_is_a_ledger_of_reasons() -> None:
    table = ledger({})
    assert set(table["verdict"]) == {"not measurable here"}
    assert (table["source"].str.len() > 5).all() and set(table["ours"]) == {"-"}
    for factor in ("4x", "1.71x", "1.29x", "1.36x", "beyond 2:4"):
        assert table["claim"].str.contains(factor, regex=False).any(), factor


def test_claims_come_in_the_order_of_the_registry_whatever_the_order_of_the_names() -> None:
    every = ledger({})
    some = ledger({}, names=["coherence", "storage"])
    assert list(some["claim"].unique()) == ["4x less weight storage", "one arithmetic on every backend"]
    kept = every["claim"].isin(some["claim"])
    pd.testing.assert_frame_equal(some, every[kept].reset_index(drop=True))


def test_an_unknown_claim_is_one_sentence() -> None:
    with pytest.raises(NmforgeError) as error:
        ledger({}, names=["storage", "size"])
    assert str(error.value) == f"claim 'size' is unknown; use one of {', '.join(REGISTRY.names())}"


def test_a_claim_sees_the_tables_it_names_and_no_other() -> None:
    assert ledger_tables(["llama7b_throughput", "matmul"]) == ["kernels", "scaling"]
    for claim in REGISTRY:
        assert set(claim.tables) <= set(TABLES.names())
        list(claim.entries({table: pd.DataFrame() for table in claim.tables}, None))  # KeyError for another table


def test_source_reads_measured_here_on_the_same_host() -> None:
    tables = {"kernels": pd.DataFrame(KERNELS)}
    here, elsewhere = (
        table[table["verdict"] != "not measurable here"] for table in (ledger(tables, here=CPU), ledger(tables))
    )
    assert set(here["source"]) == {"measured here"}
    assert set(elsewhere["source"]) == {f"recorded on {CPU}, {str(WHERE['date'])[:10]}"}
