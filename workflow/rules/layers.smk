# Where a compressed model leaves the dense one, layer by layer.


rule layers:
    input:
        sources("evaluation/layer_errors.py", "runtime/torch_model.py", "linalg",),
        artifact=ARTIFACT,
        dense=ARTIFACT.format(design=DENSE),
        tokens=TOKENS,
    output:
        "results/points/layers/{design}.json",
    log:
        "logs/layers/{design}.log",
    wildcard_constraints:
        design="|".join(COMPRESSED),
    conda:
        "../../envs/ml.yaml"
    threads: 1
    resources:
        mem_mb=3500,
        runtime=20,
    params:
        evaluation=section("evaluation"),
        config=CONFIG,
    shell:
        "nmforge --config {params.config} layers {input.artifact} --threads {threads} --dense {input.dense}"
        " --tokens {input.tokens} --out {output} 2> >(tee {log} >&2)"


rule layers_table:
    input:
        expand("results/points/layers/{design}.json", design=COMPRESSED),
    output:
        parquet="results/tables/layers.parquet",
        csv="results/tables/layers.csv",
    log:
        "logs/tables/layers.log",
    group:
        "tables"
    conda:
        "../../envs/figures.yaml"
    shell:
        "nmforge table {input} --out {output.parquet} 2> >(tee {log} >&2)"
