# Figures read tables, nothing else.


rule figure:
    input:
        sources("figures"),
        expand("results/tables/{table}.parquet", table=TABLES),
    output:
        multiext("paper_figures/{figure}", ".pdf", ".png", ".csv"),
    log:
        "logs/figures/{figure}.log",
    group:
        "figures"
    conda:
        "../../envs/figures.yaml"
    shell:
        "nmforge figures {wildcards.figure} 2> >(tee {log} >&2)"


rule figures:
    input:
        expand(
            "paper_figures/{figure}.{kind}", figure=FIGURES, kind=["pdf", "png", "csv"]
        ),
