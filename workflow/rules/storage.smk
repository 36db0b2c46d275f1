# Bytes on disk.


rule storage:
    input:
        sources("artifact/storage.py", "artifact/packing"),
        artifact=ARTIFACT,
    output:
        "results/points/storage/{design}.json",
    log:
        "logs/storage/{design}.log",
    group:
        "points"
    conda:
        "../../envs/ml.yaml"
    params:
        config=CONFIG,
    shell:
        "nmforge --config {params.config} storage {input.artifact} --out {output} 2> >(tee {log} >&2)"


rule storage_table:
    input:
        expand("results/points/storage/{design}.json", design=DESIGNS),
    output:
        parquet="results/tables/storage.parquet",
        csv="results/tables/storage.csv",
    log:
        "logs/tables/storage.log",
    group:
        "tables"
    conda:
        "../../envs/figures.yaml"
    shell:
        "nmforge table {input} --out {output.parquet} 2> >(tee {log} >&2)"
