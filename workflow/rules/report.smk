# Tables collect points; scaling, the ledger of claims, figures and the report read tables and nothing else.

FIGURES = SETTINGS.report.figures or registry("figure").names()
CLAIMS = SETTINGS.report.claims or registry("claim").names()


rule table:
    input:
        lambda wildcards: POINTS[wildcards.table],
    output:
        parquet="results/tables/{table}.parquet",
        csv="results/tables/{table}.csv",
    log:
        "logs/tables/{table}.log",
    benchmark:
        "logs/benchmarks/tables/{table}.tsv"
    wildcard_constraints:
        table=one_of(POINTS),
    group:
        "tables"
    conda:
        "../../envs/figures.yaml"
    params:
        code=verb_hash("table"),
    shell:
        "nmforge table {input:q} --out {output.parquet} 2>&1 | tee {log}"


rule scaling:
    input:
        tables(["kernels", "fpga", "decode"]),
    output:
        multiext("results/tables/scaling", ".parquet", ".csv"),
        multiext("results/tables/boards", ".parquet", ".csv"),
    log:
        "logs/tables/scaling.log",
    benchmark:
        "logs/benchmarks/tables/scaling.tsv"
    group:
        "tables"
    conda:
        "../../envs/figures.yaml"
    params:
        code=verb_hash("scaling"),
    shell:
        "nmforge scaling 2>&1 | tee {log}"


rule claims:
    input:
        tables(table for name in CLAIMS for table in registry("claim").get(name).tables),
    output:
        multiext("results/tables/claims", ".parquet", ".csv"),
    log:
        "logs/tables/claims.log",
    benchmark:
        "logs/benchmarks/tables/claims.tsv"
    group:
        "tables"
    conda:
        "../../envs/figures.yaml"
    params:
        claims=CLAIMS,
        code=verb_hash("claims", {"claim": CLAIMS, "figure": []}),
    shell:
        "nmforge --config results/config.yaml claims --build > {log} 2>&1"


rule figure:
    input:
        lambda wildcards: tables(registry("figure").get(wildcards.figure).tables),
    output:
        multiext("paper_figures/{figure}", ".pdf", ".png", ".csv"),
    log:
        "logs/figures/{figure}.log",
    benchmark:
        "logs/benchmarks/figures/{figure}.tsv"
    wildcard_constraints:
        figure=one_of(FIGURES),
    group:
        "figures"
    conda:
        "../../envs/figures.yaml"
    params:
        code=lambda wildcards: verb_hash("figures", {"figure": [wildcards.figure]}),
    shell:
        "nmforge figures {wildcards.figure} 2>&1 | tee {log}"


rule figures:
    input:
        expand("paper_figures/{figure}.{kind}", figure=FIGURES, kind=["pdf", "png", "csv"]),


rule report:
    input:
        tables(["claims", "accuracy", "samples"]),
        expand("paper_figures/{figure}.png", figure=FIGURES),
    output:
        "results/report.md",
    log:
        "logs/report.log",
    benchmark:
        "logs/benchmarks/report.tsv"
    group:
        "figures"
    conda:
        "../../envs/figures.yaml"
    params:
        code=verb_hash("report"),
    shell:
        "nmforge --config results/config.yaml report --out {output} 2>&1 | tee {log}"
