# Prune, quantize, pack: one artifact for each design point. One thread a job, as in evaluate.smk. A job that was
# stopped goes on at its last finished block, which it keeps in a hidden folder beside the artifact.


rule compress:
    input:
        sources(
            "compress.py",
            "block_loop.py",
            "block_state.py",
            "calibration.py",
            "correction.py",
            "gram.py",
            "bf16.py",
            "activations.py",
            "pruning",
            "quantization",
            "packing",
            "artifact.py",
            "tensor_file.py",
        ),
        checkpoint=CHECKPOINT,
        tokens=TOKENS,
    output:
        ARTIFACT,
    log:
        "logs/compress/{design}.log",
    wildcard_constraints:
        design="|".join(d for d in DESIGNS if d not in RECOVERED),
    priority: 3  # long chains first, short jobs fill what is left
    conda:
        "../../envs/ml.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        design=lambda wildcards: next(
            d for d in section("designs") if d["id"] == wildcards.design
        ),
        calibration=section("calibration"),
        encoding=section("index_encoding"),
        config=CONFIG,
    shell:
        "nmforge --config {params.config} compress --design {wildcards.design} --threads {threads}"
        " --checkpoint {input.checkpoint} --tokens {input.tokens} --out {output} 2> >(tee {log} >&2)"
