# Times on this machine: kernels, and decoding one token after another. Each rule takes every core.

# By point; a random LLaMA-7B needs no input.
DECODE_INPUTS = {"models": expand(ARTIFACT, design=SETTINGS.decoded_designs()), "llama7b": []}
POINTS |= {
    "kernels": ["<results>/points/kernels/bench.json", *map(project_file, SETTINGS.kernels.records)],
    "limits": ["<results>/points/limits/limits.json"],
    "decode": [
        f"<results>/points/decode/{point}.json" for point in ["models", "llama7b"][: 1 + bool(SETTINGS.decode.llama7b)]
    ],
}


rule bench:
    input:
        artifact=ARTIFACT.format(design=COMPRESSED[0]),
    output:
        kernels="<results>/points/kernels/bench.json",
        limits="<results>/points/limits/limits.json",
    log:
        "<logs>/bench.log",
    benchmark:
        "<benchmarks>/bench.tsv"
    threads: EVERY_CORE
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        kernels=section("kernels"),
        code=verb_hash("bench"),
    message:
        "Time the kernels"
    shell:
        "nmforge --config $NMFORGE_CONFIG bench --artifact {input.artifact} --out {output.kernels}"
        " --limits {output.limits} 2>&1 >> {log} | tee -a {log}"


rule decode:
    input:
        artifacts=lambda wildcards: DECODE_INPUTS[wildcards.point],
        checkpoint=lambda wildcards: CHECKPOINT if DECODE_INPUTS[wildcards.point] else [],
    output:
        "<results>/points/decode/{point}.json",
    log:
        "<logs>/decode/{point}.log",
    benchmark:
        "<benchmarks>/decode/{point}.tsv"
    wildcard_constraints:
        point=one_of(DECODE_INPUTS),
    threads: EVERY_CORE
    resources:
        mem_mb=lambda wildcards: {"models": 4000, "llama7b": 20000}[wildcards.point],
        disk_mb=lambda wildcards: {"models": 1000, "llama7b": 15000}[wildcards.point],
        runtime=60,
    params:
        decode=section("decode"),
        kernels=section("kernels"),
        what=lambda wildcards, input: f"{input.artifacts} --checkpoint {input.checkpoint}" if input else "--llama7b",
        code=verb_hash("decode"),
    message:
        "Time the decoding of {wildcards.point}"
    shell:
        "nmforge --config $NMFORGE_CONFIG decode {params.what} --out {output} 2>&1 >> {log} | tee -a {log}"
