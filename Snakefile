# nmforge: from a language-model checkpoint to a simulated accelerator, figures and the ledger of claims.
# How each file is made is in workflow/, a stage a file; the settings are config.yaml.


include: "workflow/Snakefile"


localrules:
    all,
    figures,


rule all:
    default_target: True
    input:
        expand("results/tables/{table}.{kind}", table=TABLES, kind=["csv", "parquet"]),
        rules.figures.input,
        "results/report.md",
