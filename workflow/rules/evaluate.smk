# Perplexity in both modes. The dense point goes first: the others are compared with its hidden states.
# One thread a job: two jobs side by side are faster than one job with two threads.


rule evaluate_dense:
    input:
        sources("evaluation/perplexity.py", "runtime/torch_model.py", "linalg",),
        artifact=ARTIFACT.format(design=DENSE),
        tokens=TOKENS,
    output:
        point=f"results/points/accuracy/{DENSE}.json",
        hidden=DENSE_HIDDEN,
    log:
        f"logs/evaluate/{DENSE}.log",
    priority: 2
    conda:
        "../../envs/ml.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        evaluation=section("evaluation"),
        config=CONFIG,
    shell:
        "nmforge --config {params.config} evaluate {input.artifact} --threads {threads}"
        " --tokens {input.tokens} --dense-hidden {output.hidden} --out {output.point} 2> >(tee {log} >&2)"


rule evaluate:
    input:
        sources(
            "evaluation/perplexity.py",
            "runtime/torch_model.py",
            "linalg",
            "kernels/cpu",
        ),
        artifact=ARTIFACT,
        tokens=TOKENS,
        dense=rules.evaluate_dense.output.point,
        hidden=DENSE_HIDDEN,
    output:
        "results/points/accuracy/{design}.json",
    log:
        "logs/evaluate/{design}.log",
    wildcard_constraints:
        design="|".join(COMPRESSED),
    priority: 1
    conda:
        "../../envs/ml.yaml"
    threads: 1
    resources:
        mem_mb=3500,
        runtime=60,
    params:
        evaluation=section("evaluation"),
        config=CONFIG,
    shell:
        "nmforge --config {params.config} evaluate {input.artifact} --threads {threads}"
        " --tokens {input.tokens} --dense-point {input.dense} --dense-hidden {input.hidden}"
        " --out {output} 2> >(tee {log} >&2)"


rule accuracy_table:
    input:
        expand("results/points/accuracy/{design}.json", design=DESIGNS),
    output:
        parquet="results/tables/accuracy.parquet",
        csv="results/tables/accuracy.csv",
    log:
        "logs/tables/accuracy.log",
    group:
        "tables"
    conda:
        "../../envs/figures.yaml"
    shell:
        "nmforge table {input} --out {output.parquet} 2> >(tee {log} >&2)"
