# The model and the text.


rule checkpoint:
    input:
        sources("models/sources.py", "models/toy.py"),
    output:
        directory(CHECKPOINT),
    params:
        model=section("model"),
        config=CONFIG,
    threads: 1
    resources:
        mem_mb=4000,
        runtime=15,
    log:
        "logs/checkpoint.log",
    conda:
        "../../envs/ml.yaml"
    shell:
        "nmforge --config {params.config} checkpoint --out {output} 2> >(tee {log} >&2)"


rule tokens:
    input:
        sources("corpora"),
        checkpoint=CHECKPOINT,
    output:
        TOKENS,
    params:
        text=section("text"),
        config=CONFIG,
    threads: 1
    resources:
        mem_mb=4000,
        runtime=15,
    log:
        "logs/tokens.log",
    conda:
        "../../envs/ml.yaml"
    shell:
        "nmforge --config {params.config} text --checkpoint {input.checkpoint} --out {output}"
        " 2> >(tee {log} >&2)"
