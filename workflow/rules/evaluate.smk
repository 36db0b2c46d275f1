# How good an artifact is: perplexity in both modes, the error of every layer, a text, bytes on disk. The dense point goes
# first: the others are compared with its hidden states. Two jobs of one thread are faster than one job of two.

POINTS |= {
    table: expand("results/points/{table}/{design}.json", table=table, design=designs)
    for table, designs in {"accuracy": DESIGNS, "layers": COMPRESSED, "samples": DESIGNS, "storage": DESIGNS}.items()
}


rule evaluate_dense:
    input:
        artifact=ARTIFACT.format(design=DENSE),
        tokens=TOKENS,
    output:
        point=f"results/points/accuracy/{DENSE}.json",
        hidden=DENSE_HIDDEN,
    log:
        f"logs/evaluate/{DENSE}.log",
    benchmark:
        f"logs/benchmarks/evaluate/{DENSE}.tsv"
    priority: 2
    conda:
        "../../envs/ml.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        evaluation=section("evaluation"),
        code=verb_hash("evaluate"),
    shell:
        "nmforge --config results/config.yaml evaluate {input.artifact} --threads {threads} --tokens {input.tokens}"
        " --dense-hidden {output.hidden} --out {output.point} 2>&1 | tee {log}"


rule evaluate:
    input:
        artifact=ARTIFACT,
        tokens=TOKENS,
        dense=rules.evaluate_dense.output.point,
        hidden=DENSE_HIDDEN,
    output:
        "results/points/accuracy/{design}.json",
    log:
        "logs/evaluate/{design}.log",
    benchmark:
        "logs/benchmarks/evaluate/{design}.tsv"
    wildcard_constraints:
        design=one_of(COMPRESSED),
    priority: 1
    conda:
        "../../envs/ml.yaml"
    resources:
        mem_mb=3500,
        runtime=60,
    params:
        evaluation=section("evaluation"),
        code=verb_hash("evaluate"),
    shell:
        "nmforge --config results/config.yaml evaluate {input.artifact} --threads {threads} --tokens {input.tokens}"
        " --dense-point {input.dense} --dense-hidden {input.hidden} --out {output} 2>&1 | tee {log}"


rule layers:
    input:
        artifact=ARTIFACT,
        dense=ARTIFACT.format(design=DENSE),
        tokens=TOKENS,
    output:
        "results/points/layers/{design}.json",
    log:
        "logs/layers/{design}.log",
    benchmark:
        "logs/benchmarks/layers/{design}.tsv"
    wildcard_constraints:
        design=one_of(COMPRESSED),
    conda:
        "../../envs/ml.yaml"
    resources:
        mem_mb=3500,
        runtime=20,
    params:
        evaluation=section("evaluation"),
        code=verb_hash("layers"),
    shell:
        "nmforge --config results/config.yaml layers {input.artifact} --threads {threads} --dense {input.dense}"
        " --tokens {input.tokens} --out {output} 2>&1 | tee {log}"


rule sample:
    input:
        artifact=ARTIFACT,
    output:
        "results/points/samples/{design}.json",
    log:
        "logs/samples/{design}.log",
    benchmark:
        "logs/benchmarks/samples/{design}.tsv"
    group:
        "points"
    conda:
        "../../envs/kernels.yaml"
    resources:
        mem_mb=2000,
    params:
        samples=section("samples"),
        code=verb_hash("sample"),
    shell:
        "nmforge --config results/config.yaml sample {input.artifact} --threads {threads} --out {output} 2>&1 | tee {log}"


rule storage:
    input:
        artifact=ARTIFACT,
    output:
        "results/points/storage/{design}.json",
    log:
        "logs/storage/{design}.log",
    benchmark:
        "logs/benchmarks/storage/{design}.tsv"
    group:
        "points"
    conda:
        "../../envs/ml.yaml"
    params:
        code=verb_hash("storage"),
    shell:
        "nmforge --config results/config.yaml storage {input.artifact} --out {output} 2>&1 | tee {log}"
