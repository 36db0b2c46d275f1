# Perplexity in both modes. The dense point goes first: the others are compared with its hidden states.
# One thread a job: two jobs side by side are faster than one job with two threads.


rule evaluate_dense:
    input:
        sources("evaluate.py", "packed_model.py", "bf16.py"),
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
        sources("evaluate.py", "packed_model.py", "bf16.py", "kernels/cpu"),
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


rule layers:
    input:
        sources("layer_errors.py", "packed_model.py", "bf16.py"),
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


rule sample:
    input:
        sources("samples.py", "generation.py", "native_model.py", "kernels/cpu"),
        artifact=ARTIFACT,
    output:
        "results/points/samples/{design}.json",
    log:
        "logs/samples/{design}.log",
    group:
        "points"
    conda:
        "../../envs/kernels.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        samples=section("samples"),
        config=CONFIG,
    shell:
        "nmforge --config {params.config} sample {input.artifact} --threads {threads} --out {output}"
        " 2> >(tee {log} >&2)"


rule samples_table:
    input:
        expand("results/points/samples/{design}.json", design=DESIGNS),
    output:
        parquet="results/tables/samples.parquet",
        csv="results/tables/samples.csv",
    log:
        "logs/tables/samples.log",
    group:
        "tables"
    conda:
        "../../envs/figures.yaml"
    shell:
        "nmforge table {input} --out {output.parquet} 2> >(tee {log} >&2)"


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
