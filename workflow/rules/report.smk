# Tables collect points; scaling, the ledger of claims, figures and the report read tables and nothing else.


rule table:
    input:
        lambda wildcards: POINTS[wildcards.table],
    output:
        parquet="<results>/tables/{table}.parquet",
        csv=report("<results>/tables/{table}.csv", **shown("table", "Tables", table="{table}")),
    log:
        "<logs>/tables/{table}.log",
    benchmark:
        "<benchmarks>/tables/{table}.tsv"
    wildcard_constraints:
        table=one_of(POINTS),
    group:
        "tables"
    params:
        code=verb_hash("table"),
    message:
        "Collect table {wildcards.table}"
    shell:
        "nmforge --config $NMFORGE_CONFIG table {input:q} --out {output.parquet} 2>&1 >> {log} | tee -a {log}"


rule scaling:
    input:
        tables(["kernels", "fpga", "decode"]),
    output:
        expand("<results>/tables/{table}.{kind}", table=["scaling", "boards"], kind=["parquet", "csv"]),
    log:
        "<logs>/tables/scaling.log",
    benchmark:
        "<benchmarks>/tables/scaling.tsv"
    group:
        "tables"
    params:
        code=verb_hash("scaling"),
    message:
        "Scale to LLaMA-7B"
    shell:
        "nmforge --config $NMFORGE_CONFIG scaling 2>&1 >> {log} | tee -a {log}"


rule claims:
    input:
        tables(table for name in CLAIMS for table in registry("claim").get(name).tables),
    output:
        parquet="<results>/tables/claims.parquet",
        csv=report("<results>/tables/claims.csv", **shown("ledger", "Ledger", table="claims")),
    log:
        "<logs>/tables/claims.log",
    benchmark:
        "<benchmarks>/tables/claims.tsv"
    group:
        "tables"
    params:
        claims=CLAIMS,
        code=verb_hash("claims", {"claim": CLAIMS, "figure": []}),
    message:
        "Judge the claims"
    shell:
        "nmforge --config $NMFORGE_CONFIG claims --build > {log} 2>&1"


rule figure:
    input:
        lambda wildcards: tables(registry("figure").get(wildcards.figure).tables),
    output:
        multiext("<figures>/{figure}", ".pdf", ".csv"),
        report("<figures>/{figure}.png", **shown("figure", "Figures", figure="{figure}")),
    log:
        "<logs>/figures/{figure}.log",
    benchmark:
        "<benchmarks>/figures/{figure}.tsv"
    wildcard_constraints:
        figure=one_of(FIGURES),
    group:
        "figures"
    params:
        code=lambda wildcards: verb_hash("figures", {"figure": [wildcards.figure]}),
    message:
        "Draw {wildcards.figure}"
    shell:
        "nmforge --config $NMFORGE_CONFIG figures {wildcards.figure} 2>&1 >> {log} | tee -a {log}"


rule report:
    input:
        lambda wildcards: tables(REPORTED),
        expand("<figures>/{figure}.png", figure=FIGURES),
    output:
        "<results>/report.html",
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
    group:
        "figures"
    params:
        folders=f"--tables {FOLDERS.tables} --figures {FOLDERS.figures} --benchmarks {FOLDERS.benchmarks}",
        code=verb_hash("report"),
    message:
        "Write the report"
    shell:
        "nmforge --config $NMFORGE_CONFIG report {params.folders} --out {output} 2>&1 >> {log} | tee -a {log}"
