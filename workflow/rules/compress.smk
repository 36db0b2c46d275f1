# Prune, quantize, pack: one artifact for each design point; then, where a point asks for it, training of an artifact. A
# job that was stopped resumes after its last finished block or saved step, kept in a hidden folder next to the artifact.

MASKS = f"<results>/masks/{MODEL}-modelopt.safetensors"


rule modelopt_masks:
    input:
        checkpoint=CHECKPOINT,
        tokens=TOKENS,
    output:
        MASKS,
    log:
        "<logs>/compress/modelopt_masks.log",
    benchmark:
        "<benchmarks>/compress/modelopt_masks.tsv"
    priority: 3
    threads: 2
    resources:
        mem_mb=growing(6000),
        runtime=60,
    params:
        calibration=section("calibration"),
        code=verb_hash("modelopt-masks"),
    message:
        "Choose 2:4 masks by ModelOpt"
    shell:
        "nmforge --config $NMFORGE_CONFIG modelopt-masks --threads {threads} --checkpoint {input.checkpoint}"
        " --tokens {input.tokens} --out {output} 2>&1 >> {log} | tee -a {log}"


rule compress:
    input:
        checkpoint=CHECKPOINT,
        tokens=TOKENS,
        masks=lambda wildcards: MASKS if SETTINGS.design(wildcards.design).reads_masks else [],
    output:
        ARTIFACT,
    log:
        "<logs>/compress/{design}.log",
    benchmark:
        "<benchmarks>/compress/{design}.tsv"
    wildcard_constraints:
        design=one_of(d for d in DESIGNS if d not in RECOVERED),
    priority: 3  # long chains first, short jobs fill what is left
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        design=lambda wildcards: SETTINGS.design(wildcards.design).model_dump(mode="json"),
        calibration=section("calibration"),
        encoding=section("index_encoding"),
        masks=lambda wildcards, input: f"--masks {input.masks}" * bool(input.masks),
        code=lambda wildcards: verb_hash("compress", SETTINGS.entries(wildcards.design)),
    message:
        "Compress {wildcards.design}"
    shell:
        "nmforge --config $NMFORGE_CONFIG compress --design {wildcards.design} --threads {threads} --checkpoint {input.checkpoint}"
        " --tokens {input.tokens} {params.masks} --out {output} 2>&1 >> {log} | tee -a {log}"


rule self_generate:
    input:
        checkpoint=CHECKPOINT,
        tokens=TOKENS,
    output:
        SELF_GENERATED,
    log:
        "<logs>/self_generate/{sequences}x{seqlen}.log",
    benchmark:
        "<benchmarks>/self_generate/{sequences}x{seqlen}.tsv"
    priority: 3
    threads: 2
    resources:
        mem_mb=growing(8000),
        runtime=600,
    params:
        code=verb_hash("self-generate"),
    message:
        "Let the dense model write {wildcards.sequences} sequences"
    shell:
        "nmforge --config $NMFORGE_CONFIG self-generate --sequences {wildcards.sequences} --seqlen {wildcards.seqlen}"
        " --threads {threads} --checkpoint {input.checkpoint} --tokens {input.tokens} --out {output} 2>&1 >> {log} | tee -a {log}"


rule recover:
    input:
        artifact=lambda wildcards: ARTIFACT.format(design=RECOVERED[wildcards.design].start),
        checkpoint=CHECKPOINT,
        tokens=TOKENS,
        self_generated=lambda wildcards: self_generated(RECOVERED[wildcards.design]),
    output:
        ARTIFACT,
    log:
        "<logs>/recover/{design}.log",
    benchmark:
        "<benchmarks>/recover/{design}.tsv"
    wildcard_constraints:
        design=one_of(RECOVERED),
    priority: 3
    threads: 2
    resources:
        mem_mb=growing(8000),
        runtime=600,
    params:
        recovery=lambda wildcards: RECOVERED[wildcards.design].model_dump(mode="json"),
        self_generated=lambda wildcards, input: f"--self-generated {input.self_generated}" * bool(input.self_generated),
        code=lambda wildcards: verb_hash("recover", SETTINGS.entries(wildcards.design)),
    message:
        "Train {wildcards.design}"
    shell:
        "nmforge --config $NMFORGE_CONFIG recover {input.artifact} --design {wildcards.design} --threads {threads}"
        " --checkpoint {input.checkpoint} --tokens {input.tokens} {params.self_generated} --out {output}"
        " 2>&1 >> {log} | tee -a {log}"
