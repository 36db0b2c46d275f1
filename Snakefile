# nmforge: from a language-model checkpoint to a simulated accelerator, figures and the ledger of claims.
# Each stage is one file in workflow/rules and one verb of the command line.

from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version, validate

from nmforge.cli import INPUTS
from nmforge.config import parse_config
from nmforge.core.errors import NmforgeError

min_version("9.0")


configfile: "config.yaml"


try:
    SETTINGS = parse_config(config, ", ".join(map(str, workflow.configfiles)))
except NmforgeError as error:
    raise WorkflowError(str(error))
validate(config, "workflow/schemas/config.schema.json", set_default=False)


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/compress.smk"
include: "workflow/rules/recover.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/layers.smk"
include: "workflow/rules/samples.smk"
include: "workflow/rules/storage.smk"
include: "workflow/rules/kernels.smk"
include: "workflow/rules/decode.smk"
include: "workflow/rules/fpga.smk"
include: "workflow/rules/coherence.smk"
include: "workflow/rules/scaling.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


localrules:
    all,
    figures,


rule all:
    default_target: True
    input:
        expand("results/tables/{table}.{kind}", table=TABLES, kind=["csv", "parquet"]),
        rules.figures.input,
        rules.report.output,
