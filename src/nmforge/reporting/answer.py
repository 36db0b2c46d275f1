"""The answer of a run: at most one row for each claim of the paper, and one sentence of conclusion."""

from __future__ import annotations

import textwrap
from typing import Any

from tabulate import tabulate

from nmforge.core.lazy import pd
from nmforge.reporting.claims.accuracy import EQUAL_STORAGE
from nmforge.reporting.claims.llama7b_throughput import CLAIM as LLAMA7B
from nmforge.reporting.claims.matmul import CLAIM as MATMUL
from nmforge.reporting.claims.routed_array import BASELINE
from nmforge.reporting.claims.routed_array import CLAIM as ROUTED
from nmforge.reporting.markdown import markdown_table
from nmforge.reporting.verdicts import NOT_MEASURABLE

START, END = "<!-- answer -->", "<!-- end of answer -->"
COLUMNS = ["claim", "claimed", "measured", "verdict", "where, against what, source"]
PAYS, UNCLEAR, PAYS_NOT = "2:4 pays", "its gain is within noise", "it does not pay"
WORKLOADS = {
    MATMUL: "a matmul",
    LLAMA7B: "LLaMA-7B's linear layers",
    ROUTED: "a layer",
}
NOTE = "Intervals are 95 %, from the repeats of one run; 2:4 and dense weights differ in nothing else."


def headlines(claims: pd.DataFrame) -> pd.DataFrame:
    """The rows of the ledger that answer a claim of the paper by one effect and were measured."""
    return claims[claims["headline"].astype(bool) & (claims["verdict"] != NOT_MEASURABLE)]


def answer_text(claims: pd.DataFrame, width: int = 80) -> str:
    """The headline rows for a terminal of that width, then the conclusion; a sentence where a run has none."""
    rows = headlines(claims)
    if rows.empty:
        return "This run measured no claim of the paper by one effect."
    cells = [
        [f"{row['claim']} [{row['claimed']}]", row["ours"], row["verdict"], row["platform"]]
        for row in rows.to_dict("records")
    ]
    widths = [23, 17, 11, width - 23 - 17 - 11 - 6]
    table = tabulate(
        cells, ["claim", "measured", "verdict", "where"], tablefmt="simple", disable_numparse=True,
        maxcolwidths=widths, break_on_hyphens=False,
    )  # fmt: skip
    return f"{table}\n\n{textwrap.fill(conclusion(claims), width)}"


def answer_markdown(claims: pd.DataFrame) -> str:
    """The headline rows as a Markdown table, a line on its intervals, and the conclusion in bold."""
    cells = [
        [row["claim"], row["claimed"], row["ours"], row["verdict"], _conditions(row)]
        for row in headlines(claims).to_dict("records")
    ]
    return f"{markdown_table(COLUMNS, cells)}\n\n{textwrap.fill(f'{NOTE} **{conclusion(claims)}**', 120)}\n"


def _conditions(row: dict[Any, Any]) -> str:
    return f"{row['platform']}; against {row['baseline']}; {row['source']}"


def conclusion(claims: pd.DataFrame) -> str:
    """One sentence: where 2:4 is faster than dense INT4 of the same kernels or device, where not, and what it costs."""
    gains: dict[str, list[str]] = {PAYS: [], UNCLEAR: [], PAYS_NOT: []}
    for row in _one_effect(claims).to_dict("records"):
        low, high = (row["ours_value"] if pd.isna(row[end]) else row[end] for end in ("low", "high"))
        word = PAYS if low > 1 else PAYS_NOT if high < 1 else UNCLEAR
        gains[word].append(f"{row['ours_value']:.2f}x for {WORKLOADS[row['claim']]} on {_place(str(row['platform']))}")
    parts = [f"{word} ({', '.join(some)})" for word, some in gains.items() if some]
    for row in headlines(claims)[headlines(claims)["claim"] == EQUAL_STORAGE].to_dict("records"):
        better = "less accurate than" if row["ours_value"] < 1 else "at least as accurate as"
        parts.append(f"it is {better} dense INT3 of the same storage ({row['ours']}; {row['baseline']})")
    return f"Against dense INT4, {'; '.join(parts)}." if parts else "No run compared 2:4 with dense INT4."


def _one_effect(claims: pd.DataFrame) -> pd.DataFrame:
    """Measured speed-ups of 2:4 over dense INT4 with the same kernels, or on the same routed device, in any M."""
    rows = claims[claims["claim"].isin(list(WORKLOADS)) & (claims["verdict"] != NOT_MEASURABLE)]
    rows = rows[rows["platform"].str.contains("2:4", regex=False)]
    same = rows["headline"].astype(bool) | rows["baseline"].str.startswith(("ours dense INT4 (", BASELINE))
    return rows[same]


def _place(platform: str) -> str:
    """The device and the number of tokens that a row names."""
    parts = [part.strip() for part in platform.split(",")]
    return " at ".join([parts[0], *(part for part in parts if part.startswith("M="))])
