# Distillation: the codes and norms of a compressed artifact, trained against the dense model on calibration text, and
# where a design point asks for it on text that the dense model writes itself.


rule self_text:
    input:
        sources("recovery/self_generated.py", "recovery/device.py"),
        checkpoint=CHECKPOINT,
        tokens=TOKENS,
    output:
        SELF_TEXT,
    log:
        "logs/self_text/{windows}x{seqlen}.log",
    wildcard_constraints:
        windows=r"\d+",
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
        "nmforge --config {params.config} write-text --windows {wildcards.windows} --seqlen {wildcards.seqlen}"
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
            "compression/checkpoints.py",
            "compression/calibration/activation_cache.py",
            "models/llama.py",
            "models/checkpoint.py",
        ),
        artifact=lambda wildcards: ARTIFACT.format(
            design=RECOVERED[wildcards.design].start
        ),
        checkpoint=CHECKPOINT,
        tokens=TOKENS,
        self_text=self_text,
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
        self_text=lambda wildcards, input: f"--self-text {input.self_text}"
        * bool(input.self_text),
    shell:
        "nmforge --config {params.config} recover {input.artifact} --design {wildcards.design} --threads {threads}"
        " --checkpoint {input.checkpoint} --tokens {input.tokens} {params.self_text} --out {output}"
        " 2> >(tee {log} >&2)"
