# The model and the text.


rule checkpoint:
    input:
        sources(
            "models/sources",
            "models/prepare.py",
            "models/byte_tokenizer.py",
            "models/random_llama.py",
            "models/convert.py",
            "models/checkpoint_writer.py",
        ),
    output:
        directory(CHECKPOINT),
    log:
        "logs/checkpoint.log",
    conda:
        "../../envs/ml.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=15,
    params:
        model=section("model"),
        config=CONFIG,
    shell:
        "nmforge --config {params.config} checkpoint --out {output} 2> >(tee {log} >&2)"


rule tokens:
    input:
        sources("data"),
        checkpoint=CHECKPOINT,
    output:
        TOKENS,
    log:
        "logs/tokens.log",
    conda:
        "../../envs/ml.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=15,
    params:
        text=section("text"),
        config=CONFIG,
    shell:
        "nmforge --config {params.config} tokens --checkpoint {input.checkpoint} --out {output}"
        " 2> >(tee {log} >&2)"
