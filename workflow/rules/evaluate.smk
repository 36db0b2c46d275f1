# How good an artifact is: perplexity in both modes, the error of every layer, a text, bytes on disk. The dense point goes
# first: the others are compared with its hidden states. Two jobs of one thread are faster than one job of two.

POINTS |= {
    table: expand("<results>/points/{table}/{design}.json", table=table, design=designs)
    for table, designs in {"accuracy": DESIGNS, "layers": COMPRESSED, "samples": DESIGNS, "storage": DESIGNS}.items()
}


rule evaluate_dense:
    input:
        artifact=ARTIFACT.format(design=DENSE),
        tokens=TOKENS,
    output:
        point=f"<results>/points/accuracy/{DENSE}.json",
        hidden=DENSE_HIDDEN,
    log:
        f"<logs>/evaluate/{DENSE}.log",
    benchmark:
        f"<benchmarks>/evaluate/{DENSE}.tsv"
    priority: 2
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        evaluation=section("evaluation"),
        code=verb_hash("evaluate"),
    message:
        "Evaluate the dense model"
    shell:
        "nmforge --config $NMFORGE_CONFIG evaluate {input.artifact} --threads {threads} --tokens {input.tokens}"
        " --dense-hidden {output.hidden} --out {output.point} 2>&1 >> {log} | tee -a {log}"


rule evaluate:
    input:
        artifact=ARTIFACT,
        tokens=TOKENS,
        dense=rules.evaluate_dense.output.point,
        hidden=DENSE_HIDDEN,
    output:
        "<results>/points/accuracy/{design}.json",
    log:
        "<logs>/evaluate/{design}.log",
    benchmark:
        "<benchmarks>/evaluate/{design}.tsv"
    wildcard_constraints:
        design=one_of(COMPRESSED),
    priority: 1
    resources:
        mem_mb=growing(3500),
        runtime=60,
    params:
        evaluation=section("evaluation"),
        code=verb_hash("evaluate"),
    message:
        "Evaluate {wildcards.design}"
    shell:
        "nmforge --config $NMFORGE_CONFIG evaluate {input.artifact} --threads {threads} --tokens {input.tokens}"
        " --dense-point {input.dense} --dense-hidden {input.hidden} --out {output} 2>&1 >> {log} | tee -a {log}"


rule layers:
    input:
        artifact=ARTIFACT,
        dense=ARTIFACT.format(design=DENSE),
        tokens=TOKENS,
    output:
        "<results>/points/layers/{design}.json",
    log:
        "<logs>/layers/{design}.log",
    benchmark:
        "<benchmarks>/layers/{design}.tsv"
    resources:
        mem_mb=growing(3500),
        runtime=20,
    params:
        evaluation=section("evaluation"),
        code=verb_hash("layers"),
    message:
        "Measure the layer errors of {wildcards.design}"
    shell:
        "nmforge --config $NMFORGE_CONFIG layers {input.artifact} --threads {threads} --dense {input.dense}"
        " --tokens {input.tokens} --out {output} 2>&1 >> {log} | tee -a {log}"


rule sample:
    input:
        artifact=ARTIFACT,
    output:
        "<results>/points/samples/{design}.json",
    log:
        "<logs>/samples/{design}.log",
    benchmark:
        "<benchmarks>/samples/{design}.tsv"
    group:
        "points"
    resources:
        mem_mb=growing(2000),
    params:
        samples=section("samples"),
        code=verb_hash("sample"),
    message:
        "Let {wildcards.design} write"
    shell:
        "nmforge --config $NMFORGE_CONFIG sample {input.artifact} --threads {threads} --out {output} 2>&1 >> {log} | tee -a {log}"


rule storage:
    input:
        artifact=ARTIFACT,
    output:
        "<results>/points/storage/{design}.json",
    log:
        "<logs>/storage/{design}.log",
    benchmark:
        "<benchmarks>/storage/{design}.tsv"
    group:
        "points"
    params:
        code=verb_hash("storage"),
    message:
        "Measure the storage of {wildcards.design}"
    shell:
        "nmforge --config $NMFORGE_CONFIG storage {input.artifact} --out {output} 2>&1 >> {log} | tee -a {log}"
