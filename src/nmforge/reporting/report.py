"""One run on one page of Markdown: the ledger, the accuracy of every design point, what each writes, the figures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmforge.core.lazy import pd
from nmforge.reporting.ledger_text import markdown
from nmforge.reporting.markdown import markdown_table, plain_text

if TYPE_CHECKING:
    from nmforge.reporting.query import Tables

TABLES = ("claims", "accuracy", "samples")
MODES = {"bf16": "bf16", "w4a16": "W4A16", "w4a8": "W4A8"}
COLUMNS = ["design point", "mode", "perplexity", "over dense", "KL", "top-1", "bits per weight"]


def report(tables: Tables, figures: Iterable[Path]) -> str:
    """The page. tables: those of TABLES. figures: pictures, as links relative to the page."""
    accuracy = tables["accuracy"]
    first = accuracy.iloc[0]
    sections = [
        f"# {first['model']}, measured on {first['host']}, {first['date']}",
        "## Ledger of claims", markdown(tables["claims"]),
        "## Accuracy", _accuracy(accuracy),
        "## Samples", _samples(tables["samples"]),
        "## Figures", *(f"![{path.stem}]({path.as_posix()})" for path in figures),
    ]  # fmt: skip
    return "\n\n".join(section.strip() for section in sections) + "\n"


def _accuracy(accuracy: pd.DataFrame) -> str:
    """Every design point in every mode: perplexity, its ratio to dense, KL, top-1 agreement, storage."""
    first = accuracy.iloc[0]
    compared = int(accuracy["compared_tokens"].max())
    note = (
        f"{int(first['tokens']):,} tokens of {first['dataset']} in sequences of {int(first['seqlen'])}; KL in nats "
        "from the dense model's distribution and agreement with its most likely token, on "
        f"{compared:,} of them."
    )
    rows = [
        [
            row["design_id"], MODES[row["mode"]], f"{row['ppl']:,.2f}", f"{row['ratio_to_dense']:,.3f}",
            _number(row["kl"], ".3f"), _number(row["top1_agreement"], ".1%"), f"{row['bits_per_weight']:.3f}",
        ]
        for row in accuracy.to_dict("records")
    ]  # fmt: skip
    return f"{note}\n\n{markdown_table(COLUMNS, rows)}"


def _samples(samples: pd.DataFrame) -> str:
    """The prompt once, then each design point's continuation as a quotation."""
    prompt = plain_text(str(samples["prompt"].iloc[0]))
    lines = [f"Greedy continuations of \u201c{prompt}\u201d by the C++ decoder, INT8 activations where compressed."]
    for row in samples.to_dict("records"):
        end = "" if row["ended"] else " \u2026"
        lines.append(f"**{row['design_id']}**\n\n> {plain_text(str(row['text']))}{end}")
    return "\n\n".join(lines)


def _number(value: Any, form: str) -> str:
    """A dash where nothing was measured."""
    return "-" if pd.isna(value) else format(value, form)
