"""Questions the paper does not ask of itself: accuracy, the INT3 rival, and one arithmetic everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from nmforge.reporting.claims.entry import NOT_REACHED, REPRODUCED, USABLE, Entry, Tables, missing, table_of, verdict
from nmforge.reporting.query import at, origin, pattern_name

SPARSE = ("2:4", "2:4+dense")  # half of the weights kept in every layer, or in all but some


def accuracy_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """Is the model usable after the paper's recipe, and after our best; does 2:4 INT4 beat dense INT3, its rival?"""
    accuracy = at(table_of(tables, "accuracy"), mode="w4a16")
    usable, rival = "the paper's recipe keeps the model usable", "2:4 INT4 as accurate as its storage rival, dense INT3"
    recipe = at(accuracy, design_id="paper-2of4")
    if recipe.empty:
        yield missing(usable, f"our bar: ppl <= {USABLE:g}x dense", "accuracy", "paper-2of4 was not evaluated")
    for _, row in recipe.iterrows():
        yield _usable(usable, row, here)
    models = sorted(set(accuracy["model"])) if len(accuracy) else []
    for model in models:
        yield from _best_usable(at(accuracy, model=model), here)
        for pattern in SPARSE:
            yield from _accuracy_rival(rival, at(accuracy, model=model), pattern, here)
    if not models:
        yield missing(rival, "our question", "accuracy", "no accuracy rows")


def _best_usable(accuracy: pd.DataFrame, here: str | None) -> Iterator[Entry]:
    """The best point of each family against the same bar."""
    for pattern in ("dense", *SPARSE):
        for _, row in _family(accuracy, pattern, 4).head(1).iterrows():
            yield _usable(f"{pattern} INT4 keeps the model usable", row, here)


def _family(accuracy: pd.DataFrame, pattern: str, bits: int) -> pd.DataFrame:
    """Points of a pattern and bits, the least perplexity first."""
    rows = accuracy[(accuracy["pattern"].map(pattern_name) == pattern) & (accuracy["bits"] == bits)]
    return rows.sort_values(["ppl", "design_id"])


def _protocol(row: pd.Series) -> str:
    return f"{row['model']}, W4A16, {row['tokens']:,} tokens of {row['dataset']} at {row['seqlen']}"


def _usable(claim: str, row: pd.Series, here: str | None) -> Entry:
    worse = float(row["ratio_to_dense"])
    good = REPRODUCED if worse <= USABLE else NOT_REACHED
    return Entry(
        claim,
        f"our bar: ppl <= {USABLE:g}x dense",
        f"ppl {row['ppl']:,.4g} = {worse:,.3g}x dense",
        f"{row['design_id']}, {_protocol(row)}",
        "dense-bf16",
        good,
        origin([row], here),
        USABLE,
        worse,
    )


def _accuracy_rival(claim: str, accuracy: pd.DataFrame, pattern: str, here: str | None) -> Iterator[Entry]:
    """The best point of a pattern against the best dense INT3 point; a mix of patterns only where there is one."""
    sparse, dense = _family(accuracy, pattern, 4), _family(accuracy, "dense", 3)
    if sparse.empty and pattern != SPARSE[0]:
        return
    if sparse.empty or dense.empty:
        yield missing(claim, "our question", str(accuracy["model"].iloc[0]), "needs a 2:4 INT4 and an INT3 point")
        return
    ours, rival = sparse.iloc[0], dense.iloc[0]
    gain = float(rival["ppl"] / ours["ppl"])
    text = f"ppl {ours['ppl']:.4g} at {ours['bits_per_weight']:.4g} b/w"
    against = f"{rival['design_id']}, ppl {rival['ppl']:.4g} at {rival['bits_per_weight']:.4g} b/w"
    yield Entry(
        claim,
        "our question",
        text,
        f"{ours['design_id']}, {_protocol(ours)}",
        against,
        verdict(gain, 1.0),
        origin([ours, rival], here),
        1.0,
        gain,
    )


def coherence_entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """The gap the paper was withdrawn over: every backend gives the same INT32, counted."""
    claim, claimed = "one arithmetic on every backend", "0 mismatches"
    coherence = table_of(tables, "coherence")
    names = {"cpu": "C++ kernel", "rtl": "RTL simulation"}
    not_everywhere = {
        "gpu": "GPU kernel",
        "rtl-text": "RTL simulation, whole layers of a text",
        "ecp5-synthesis": "ECP5 netlist after synthesis",
        "ecp5-route": "ECP5 netlist after place and route",
    }
    names |= {backend: name for backend, name in not_everywhere.items() if backend in set(coherence.get("backend", []))}
    for backend, name in names.items():
        rows = at(coherence, backend=backend)
        compared = 0 if rows.empty else int(rows["compared"].sum())
        if compared == 0:
            yield missing(claim, claimed, name, f"no {backend} accumulators were compared")
            continue
        wrong, designs = int(rows["mismatches"].sum()), rows["design_id"].nunique()
        yield Entry(
            claim,
            claimed,
            f"{wrong} of {compared:,} INT32 differ",
            f"{name}, {designs} design point{'s' * (designs != 1)}",
            f"{'C++ kernel' if backend == 'rtl-text' else 'reference'}, compared with ==",
            REPRODUCED if wrong == 0 else NOT_REACHED,
            origin(rows, here),
            0.0,
            wrong,
        )
