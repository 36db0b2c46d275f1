# The model and the text, which studies share through the cache.

KEPT_CHECKPOINT = kept_name(
    SETTINGS.model.source, "checkpoint_source", "checkpoint", SETTINGS.model.revision, SETTINGS.model.blocks
)
KEPT_TOKENS = kept_name(SETTINGS.text.source, "corpus", "tokens", SETTINGS.text.revision, KEPT_CHECKPOINT)


rule checkpoint:
    input:
        local_files(SETTINGS.model.source, "checkpoint_source"),
    output:
        directory(CHECKPOINT),
    log:
        "<logs>/checkpoint.log",
    benchmark:
        "<benchmarks>/checkpoint.tsv"
    resources:
        mem_mb=growing(4000),
        runtime=15,
    params:
        model=section("model"),
        code=verb_hash("checkpoint"),
        kept=KEPT_CHECKPOINT,
    message:
        f"Fetch the model {MODEL}"
    shell:
        "nmforge --config $NMFORGE_CONFIG checkpoint --kept {params.kept} --out {output} 2>&1 >> {log} | tee -a {log}"


rule tokens:
    input:
        checkpoint=CHECKPOINT,
        text=local_files(SETTINGS.text.source, "corpus"),
    output:
        TOKENS,
    log:
        "<logs>/tokens.log",
    benchmark:
        "<benchmarks>/tokens.tsv"
    resources:
        mem_mb=growing(4000),
        runtime=15,
    params:
        text=section("text"),
        code=verb_hash("tokens"),
        kept=KEPT_TOKENS,
    message:
        "Fetch the text, tokenize it"
    shell:
        "nmforge --config $NMFORGE_CONFIG tokens --kept {params.kept} --checkpoint {input.checkpoint} --out {output} 2>&1 >> {log} | tee -a {log}"
