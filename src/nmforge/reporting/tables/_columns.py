"""Columns that several tables share."""

from __future__ import annotations

from nmforge.reporting.tables.registry import Column

# Where a number came from; points carry it, tables computed from others do not.
PROVENANCE = {
    "commit": Column("commit of the project, `+` after it where files differed"),
    "config_hash": Column("hash of the settings"),
    "host": Column("processor, or the machine, that made the row"),
    "versions": Column("versions of Python and the libraries, as JSON"),
    "date": Column("day of the measurement"),
}
DESIGN_ID = {"design_id": Column("id of the design point in the config")}
MODEL = {"model": Column("name of the model in the config")}
FORMAT = {
    "pattern": Column("N:M pattern of the weights; dense is `1:1` or `dense`"),
    "bits": Column("bits of a weight's code; 16 or 32 where weights are floats"),
}
GROUP_SIZE = {"group_size": Column("weights along K that share a multiplier; 0 is a whole row")}
METHOD = {
    "pruner": Column("pruner of the design point"),
    "quantizer": Column("quantizer of the design point"),
    "target": Column("outputs that calibration holds a layer to: its own (`layer`) or the dense model's (`dense`)"),
}
MODE = {"mode": Column("arithmetic: `bf16` (dense model), `w4a16` or `w4a8`")}
DATASET_REVISION = {"dataset_revision": Column("revision or hash of the text")}
RECOVERY_TOKENS = {"recovery_tokens": Column("tokens seen in training after compression", "tokens")}
DEVICE = {"device": Column("processor, or `cuda: ` and the GPU")}
CODE = {
    "isa": Column("instruction set, `triton`, or `library` where a library chooses"),
    "threads": Column("threads used", "threads"),
}
TIMING = {
    "median_us": Column("median time", "us"),
    "spread_us": Column("half the distance between the quartiles", "us"),
    "repeats": Column("times measured"),
}
RUN_ID = {"run_id": Column("rows with one id were measured alternately in one process")}
SHAPE = {
    "m": Column("rows of the activations: tokens"),
    "n": Column("output channels of the layer"),
    "k": Column("input channels of the layer"),
}
ARRAY = {
    "engine": Column("`gemm`, `gemv`, or `device`: what is placed and routed around the gemm array"),
    "window": Column("window of the build: 1 is dense only, 4 runs any N:4"),
    "lanes": Column("multipliers of a PE"),
    "rows": Column("rows of PEs"),
    "cols": Column("columns of PEs"),
}
MULTIPLIERS = {"multipliers": Column("multipliers of the array: rows x cols x lanes")}
SPEED = {
    "tokens_per_s": Column("speed", "tokens/s"),
    "us_per_token": Column("time per token", "us"),
}
COST = {
    "cycles_per_token": Column("cycles per token", "cycles"),
    "bytes_per_token": Column("bytes read from memory per token", "bytes"),
}
