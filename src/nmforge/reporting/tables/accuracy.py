"""Table `accuracy`."""

from __future__ import annotations

from nmforge.reporting.tables import _columns as shared
from nmforge.reporting.tables.registry import REGISTRY, Column, Table

COLUMNS = {
    **shared.DESIGN_ID,
    **shared.MODE,
    **shared.FORMAT,
    **shared.GROUP_SIZE,
    **shared.METHOD,
    "ppl": Column("perplexity on the evaluation text"),
    "ratio_to_dense": Column("perplexity over that of the dense model"),
    "kl": Column("KL divergence from the dense model's predictions, mean over compared tokens", "nats"),
    "top1_agreement": Column("share of compared tokens whose most likely next token is the dense model's"),
    "compared_tokens": Column("tokens on which `kl` and `top1_agreement` are measured", "tokens"),
    "tokens": Column("tokens on which perplexity is measured", "tokens"),
    "seqlen": Column("length of a sequence", "tokens"),
    "stride": Column("distance between the starts of two sequences", "tokens"),
    "dtype": Column("type of everything but linear layers"),
    "calibration_tokens": Column("tokens that calibration saw", "tokens"),
    **shared.RECOVERY_TOKENS,
    "bits_per_weight": Column("codes, indices, scales and padding in the file", "bits/weight"),
    **shared.MODEL,
    "dataset": Column("name of the text in the config"),
    **shared.DATASET_REVISION,
    **shared.PROVENANCE,
}
SUMMARY = "how good one design point is in one arithmetic"
REGISTRY.add(Table("accuracy", SUMMARY, "evaluation", COLUMNS, order=10))
