# Distillation: the codes and norms of a compressed artifact, trained against the dense model on calibration text, and
# where a design point asks for it on text that the dense model writes itself.


rule self_generated:
    input:
        sources("recovery/self_generated.py", "recovery/device.py"),
        checkpoint=CHECKPOINT,
        tokens=TOKENS,
    output:
        SELF_GENERATED,
    log:
        "logs/self_generated/{sequences}x{seqlen}.log",
    wildcard_constraints:
        sequences=r"\d+",
        seqlen=r"\d+",
    priority: 3
    conda:
        "../../envs/ml.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=600,
    params:
        config=CONFIG,
    shell:
        "nmforge --config {params.config} self-generated --sequences {wildcards.sequences} --seqlen {wildcards.seqlen}"
        " --threads {threads} --checkpoint {input.checkpoint} --tokens {input.tokens} --out {output}"
        " 2> >(tee {log} >&2)"


rule recover:
    input:
        sources(
            "recovery",
            "linalg",
            "artifact/format.py",
            "io/safetensors_stream.py",
            "compression/blockwise.py",
            "compression/activation_store.py",
            "compression/checkpoints.py",
            "compression/passthrough.py",
            "compression/calibration/activation_cache.py",
            "models/llama.py",
            "models/forward.py",
            "models/checkpoint.py",
        ),
        artifact=lambda wildcards: ARTIFACT.format(
            design=RECOVERED[wildcards.design].start
        ),
        checkpoint=CHECKPOINT,
        tokens=TOKENS,
        self_generated=self_generated,
    output:
        ARTIFACT,
    log:
        "logs/recover/{design}.log",
    wildcard_constraints:
        design="|".join(RECOVERED) or "none of the config",
    priority: 3
    conda:
        "../../envs/ml.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=600,
    params:
        recovery=lambda wildcards: RECOVERED[wildcards.design].model_dump(),
        config=CONFIG,
        self_generated=lambda wildcards, input: f"--self-generated {input.self_generated}"
        * bool(input.self_generated),
    shell:
        "nmforge --config {params.config} recover {input.artifact} --design {wildcards.design} --threads {threads}"
        " --checkpoint {input.checkpoint} --tokens {input.tokens} {params.self_generated} --out {output}"
        " 2> >(tee {log} >&2)"
