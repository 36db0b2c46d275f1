# Decoding speed on this machine. Like `bench`, the rule takes every core.


rule decode:
    input:
        sources("kernels", "benchmarks", "runtime/native.py"),
        checkpoint=CHECKPOINT,
        artifacts=expand(ARTIFACT, design=DECODED),
    output:
        "results/points/decode/decode.json",
    log:
        "logs/decode.log",
    conda:
        "../../envs/kernels.yaml"
    threads: 1000  # capped at --cores: nothing runs beside it
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        decode=section("decode"),
        kernels=section("kernels"),
        config=CONFIG,
    shell:
        "nmforge --config {params.config} decode {input.artifacts} --checkpoint {input.checkpoint} --out {output}"
        " 2> >(tee {log} >&2)"


rule decode_llama7b:
    input:
        sources("kernels", "benchmarks", "runtime/native.py"),
    output:
        "results/points/decode/llama7b.json",
    log:
        "logs/decode_llama7b.log",
    conda:
        "../../envs/kernels.yaml"
    threads: 1000
    resources:
        mem_mb=20000,
        disk_mb=15000,
        runtime=60,
    params:
        decode=section("decode"),
        kernels=section("kernels"),
        config=CONFIG,
    shell:
        "nmforge --config {params.config} decode --llama7b --out {output}"
        " 2> >(tee {log} >&2)"


rule decode_table:
    input:
        rules.decode.output,
        rules.decode_llama7b.output if SETTINGS.decode.llama7b else [],
    output:
        parquet="results/tables/decode.parquet",
        csv="results/tables/decode.csv",
    log:
        "logs/tables/decode.log",
    group:
        "tables"
    conda:
        "../../envs/figures.yaml"
    shell:
        "nmforge table {input} --out {output.parquet} 2> >(tee {log} >&2)"
