# nmforge: from a language-model checkpoint to a simulated accelerator, figures and the ledger of claims.
# How each file is made is in workflow/, a stage a file; the settings are config.yaml.


include: "workflow/Snakefile"


# These run where Snakemake runs: nodes of a cluster need no network.
localrules:
    all,
    figures,
    checkpoint,
    tokens,


rule all:
    default_target: True
    input:
        expand(
            "<results>/tables/{table}.{kind}",
            table=[name for name in WANTED if name in TABLES],
            kind=["csv", "parquet"],
        ),
        expand(
            "<figures>/{figure}.{kind}",
            figure=[name for name in WANTED if name in FIGURES],
            kind=["pdf", "png", "csv"],
        ),
        ["<results>/report.html"] if REPORT in WANTED else [],


rule figures:
    input:
        expand("<figures>/{figure}.{kind}", figure=FIGURES, kind=["pdf", "png", "csv"]),


onsuccess:
    print(success_text(SETTINGS), file=sys.stderr)


onerror:
    print(failure_text([log] if isinstance(log, str) else log), file=sys.stderr)
