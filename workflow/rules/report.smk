# One page of everything: figures, ledger, accuracy and samples.


rule report:
    input:
        sources(
            "reporting/report.py",
            "reporting/ledger_text.py",
            "reporting/markdown.py",
        ),
        expand(
            "results/tables/{table}.parquet", table=["claims", "accuracy", "samples"]
        ),
        expand("paper_figures/{figure}.png", figure=FIGURES),
    output:
        "results/report.md",
    log:
        "logs/report.log",
    group:
        "figures"
    conda:
        "../../envs/figures.yaml"
    shell:
        "nmforge report --out {output} 2> >(tee {log} >&2)"
