"""Is the compressed model usable, and is 2:4 INT4 as accurate as dense INT3, which takes as many bytes?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nmforge.reporting.claims.registry import REGISTRY, Claim
from nmforge.reporting.query import PAPER_DESIGN, Tables, at, origin, with_pattern
from nmforge.reporting.verdicts import Entry, headline, holds, missing, verdict

if TYPE_CHECKING:
    import pandas as pd

USABLE = 2.0  # our bar: perplexity at most twice the dense one
USABLE_TEXT = f"our bar: ppl <= {USABLE:g}x dense"
SPARSE = ("2:4", "2:4+dense")  # half of the weights kept in every layer, or in all but some
RECIPE = "the paper's recipe keeps the model usable"
EQUAL_STORAGE = "2:4 INT4 as accurate as dense INT3 of equal storage"
QUESTION = "our question"


def entries(tables: Tables, here: str | None) -> Iterator[Entry]:
    """The paper's recipe; then, per model, the best point of each family, and 2:4 INT4 against dense INT3."""
    accuracy = at(tables["accuracy"], mode="w4a16")
    recipe = at(accuracy, design_id=PAPER_DESIGN)
    if recipe.empty:
        yield missing(RECIPE, USABLE_TEXT, "accuracy", f"{PAPER_DESIGN} was not evaluated")
    for _, row in recipe.iterrows():
        yield _usable(RECIPE, row, here)
    if accuracy.empty:
        yield missing(EQUAL_STORAGE, QUESTION, "accuracy", "no accuracy rows")
        return
    for model in sorted(set(accuracy["model"])):
        rows = at(accuracy, model=model)
        yield from _best_usable(rows, here)
        for pattern in SPARSE:
            found = _against_int3(rows, pattern, here)
            yield from map(headline, found) if pattern == SPARSE[0] else found


def _best_usable(accuracy: pd.DataFrame, here: str | None) -> Iterator[Entry]:
    """The best point of each family against the same bar."""
    for pattern in ("dense", *SPARSE):
        for _, row in _family(accuracy, pattern, 4).head(1).iterrows():
            yield _usable(f"{pattern} INT4 keeps the model usable", row, here)


def _family(accuracy: pd.DataFrame, pattern: str, bits: int) -> pd.DataFrame:
    """Points of a pattern and bits, the least perplexity first."""
    return with_pattern(accuracy, pattern, bits).sort_values(["ppl", "design_id"])


def _point(row: pd.Series) -> str:
    """A design point and the text it was evaluated on."""
    text = f"{row['tokens']:,} tokens of {row['dataset']} at {row['seqlen']}"
    return f"{row['design_id']}, {row['model']}, W4A16, {text}"


def _usable(claim: str, row: pd.Series, here: str | None) -> Entry:
    """A point against the bar: perplexity over that of the dense model."""
    ratio = float(row["ratio_to_dense"])
    text = f"ppl {row['ppl']:,.4g} = {ratio:,.3g}x dense"
    source = origin([row], here)
    return Entry(claim, USABLE_TEXT, text, _point(row), "dense-bf16", holds(ratio <= USABLE), source, USABLE, ratio)


def _against_int3(accuracy: pd.DataFrame, pattern: str, here: str | None) -> Iterator[Entry]:
    """The best point of a pattern against the best dense INT3 point; a mix of patterns only where there is one."""
    sparse, dense = _family(accuracy, pattern, 4), _family(accuracy, "dense", 3)
    if sparse.empty and pattern != SPARSE[0]:
        return
    if sparse.empty or dense.empty:
        model = str(accuracy["model"].iloc[0])
        yield missing(EQUAL_STORAGE, QUESTION, model, "needs a 2:4 INT4 and an INT3 point")
        return
    ours, baseline = sparse.iloc[0], dense.iloc[0]
    gain = float(baseline["ppl"] / ours["ppl"])
    against = f"{baseline['design_id']}, {_cost(baseline)}"
    source = origin([ours, baseline], here)
    yield Entry(EQUAL_STORAGE, QUESTION, _cost(ours), _point(ours), against, verdict(gain, 1.0), source, 1.0, gain)


def _cost(row: pd.Series) -> str:
    """Perplexity and bits per weight."""
    return f"ppl {row['ppl']:.4g} at {row['bits_per_weight']:.4g} b/w"


SUMMARY = "is the model usable after compression, and is 2:4 INT4 as accurate as dense INT3"
REGISTRY.add(Claim("accuracy", SUMMARY, ("accuracy",), entries, order=70))
