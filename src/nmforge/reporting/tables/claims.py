"""Table `claims`."""

from __future__ import annotations

from nmforge.reporting.tables.registry import REGISTRY, Column, Table

COLUMNS = {
    "claim": Column("claim of the paper, or a question that it leaves open"),
    "claimed": Column("what is claimed, or our bar"),
    "ours": Column("what the tables of this run say"),
    "platform": Column("platform, format and conditions"),
    "baseline": Column("what the number is compared with"),
    "verdict": Column(
        "`reproduced`, `exceeded`, `not reached`; `within noise` where the interval does not clear the bar; `refused` "
        "beyond what bytes or multipliers allow; or `not measurable here`"
    ),
    "source": Column("measured here, recorded elsewhere or modelled; or what is missing"),
    "claimed_value": Column("number of `claimed` that the verdict compares"),
    "ours_value": Column("number of `ours` that the verdict compares"),
    "low": Column("lower end of its 95 % interval; none where the number is exact or was measured once"),
    "high": Column("upper end of its interval"),
    "headline": Column("true for the row that answers a claim of the paper by one effect"),
}
SUMMARY = "one claim next to what this run measured"
REGISTRY.add(Table("claims", SUMMARY, "reporting", COLUMNS, derived=True, order=120))
