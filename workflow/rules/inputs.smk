# The model and the text.


rule checkpoint:
    input:
        local_files(SETTINGS.model.source, "checkpoint_source"),
    output:
        directory(CHECKPOINT),
    log:
        "logs/checkpoint.log",
    benchmark:
        "logs/benchmarks/checkpoint.tsv"
    conda:
        "../../envs/ml.yaml"
    resources:
        mem_mb=4000,
        runtime=15,
    params:
        model=section("model"),
        code=verb_hash("checkpoint"),
    shell:
        "nmforge --config results/config.yaml checkpoint --out {output} 2>&1 | tee {log}"


rule tokens:
    input:
        checkpoint=CHECKPOINT,
        text=local_files(SETTINGS.text.source, "corpus"),
    output:
        TOKENS,
    log:
        "logs/tokens.log",
    benchmark:
        "logs/benchmarks/tokens.tsv"
    conda:
        "../../envs/ml.yaml"
    resources:
        mem_mb=4000,
        runtime=15,
    params:
        text=section("text"),
        code=verb_hash("tokens"),
    shell:
        "nmforge --config results/config.yaml tokens --checkpoint {input.checkpoint} --out {output} 2>&1 | tee {log}"
