# Figures read tables, nothing else.


rule figure:
    input:
        sources(
            "reporting/figures",
            "reporting/draw.py",
            "reporting/style.py",
            "reporting/query.py",
        ),
        lambda wildcards: expand(
            "results/tables/{table}.parquet", table=FIGURES[wildcards.figure].split()
        ),
    output:
        multiext("paper_figures/{figure}", ".pdf", ".png", ".csv"),
    log:
        "logs/figures/{figure}.log",
    wildcard_constraints:
        figure="|".join(FIGURES),
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
