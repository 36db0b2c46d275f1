# Bytes on disk.


rule storage:
    input:
        sources("storage.py", "packing"),
        artifact=ARTIFACT,
    output:
        "results/points/storage/{design}.json",
    params:
        config=CONFIG,
    group:
        "points"
    log:
        "logs/storage/{design}.log",
    conda:
        "../../envs/ml.yaml"
    shell:
        "nmforge --config {params.config} storage {input.artifact} --out {output} 2> >(tee {log} >&2)"


rule storage_table:
    input:
        expand("results/points/storage/{design}.json", design=DESIGNS),
    output:
        multiext("results/tables/storage", ".parquet", ".csv"),
    group:
        "tables"
    log:
        "logs/tables/storage.log",
    conda:
        "../../envs/figures.yaml"
    shell:
        "nmforge table {input} --out {output[0]} 2> >(tee {log} >&2)"
