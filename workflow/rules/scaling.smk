# LLaMA-7B from measured shapes and the checked cycle model, and the ledger of claims.


rule scaling:
    input:
        sources(
            "reporting/llama7b_scaling.py",
            "reporting/query.py",
            "fpga/boards/throughput.py",
            "fpga/boards/capacity.py",
            "fpga/boards/boards.py",
            "fpga/boards/boards.yaml",
        ),
        "results/tables/kernels.parquet",
        "results/tables/fpga.parquet",
        "results/tables/decode.parquet",
    output:
        parquet="results/tables/scaling.parquet",
        csv="results/tables/scaling.csv",
        boards="results/tables/boards.parquet",
        boards_csv="results/tables/boards.csv",
    log:
        "logs/tables/scaling.log",
    group:
        "tables"
    conda:
        "../../envs/figures.yaml"
    shell:
        "nmforge scaling 2> >(tee {log} >&2)"


rule claims:
    input:
        sources(
            "reporting/claims",
            "reporting/comparisons.py",
            "reporting/ledger.py",
            "reporting/query.py",
            "reporting/verdicts.py",
        ),
        expand(
            "results/tables/{table}.parquet",
            table=[
                t for t in TABLES if t not in ("boards", "claims", "layers", "samples")
            ],
        ),
    output:
        parquet="results/tables/claims.parquet",
        csv="results/tables/claims.csv",
    log:
        "logs/tables/claims.log",
    group:
        "tables"
    conda:
        "../../envs/figures.yaml"
    shell:
        "nmforge claims --build > {log}"
