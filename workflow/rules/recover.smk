# Distillation: the codes and norms of a compressed artifact, trained against the dense model on calibration text.


rule recover:
    input:
        sources("recovery", "bf16.py", "artifact.py", "tensor_file.py"),
        artifact=lambda wildcards: ARTIFACT.format(
            design=RECOVERED[wildcards.design].start
        ),
        checkpoint=CHECKPOINT,
        tokens=TOKENS,
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
    shell:
        "nmforge --config {params.config} recover {input.artifact} --design {wildcards.design} --threads {threads}"
        " --checkpoint {input.checkpoint} --tokens {input.tokens} --out {output} 2> >(tee {log} >&2)"
