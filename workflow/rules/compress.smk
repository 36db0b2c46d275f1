# Prune, quantize, pack: one artifact for each design point. One thread a job, as in evaluate.smk. A job that was
# stopped continues after its last finished block, which it keeps in a hidden folder next to the artifact.


MASKS = f"results/masks/{MODEL}-modelopt.safetensors"
BY_MODELOPT = [d.id for d in SETTINGS.designs if d.pruner == "modelopt"]


rule modelopt_masks:
    input:
        sources("compression/pruning/modelopt.py", "compression/pruning/_modelopt_worker.py"),
        checkpoint=CHECKPOINT,
        tokens=TOKENS,
    output:
        MASKS,
    log:
        "logs/compress/modelopt_masks.log",
    priority: 3
    conda:
        "../../envs/ml.yaml"
    threads: 2
    resources:
        mem_mb=6000,
        runtime=60,
    params:
        calibration=section("calibration"),
        config=CONFIG,
    shell:
        "nmforge --config {params.config} modelopt-masks --threads {threads} --checkpoint {input.checkpoint}"
        " --tokens {input.tokens} --out {output} 2> >(tee {log} >&2)"


rule compress:
    input:
        sources(
            "compression",
            "linalg",
            "models/llama.py",
            "models/forward.py",
            "artifact/packing",
            "artifact/format.py",
            "io/safetensors_stream.py",
        ),
        checkpoint=CHECKPOINT,
        tokens=TOKENS,
        masks=lambda wildcards: MASKS if wildcards.design in BY_MODELOPT else [],
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
        masks=lambda wildcards, input: f"--masks {input.masks}" * bool(input.masks),
    shell:
        "nmforge --config {params.config} compress --design {wildcards.design} --threads {threads}"
        " --checkpoint {input.checkpoint} --tokens {input.tokens} {params.masks} --out {output}"
        " 2> >(tee {log} >&2)"
