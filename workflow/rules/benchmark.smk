# Times on this machine: kernels, and decoding one token after another. Each rule takes every core.

DECODED = expand(ARTIFACT, design=SETTINGS.decoded_designs())
DECODE_INPUTS = {"models": [CHECKPOINT, *DECODED], "llama7b": []}  # a random LLaMA-7B needs none
POINTS |= {
    "kernels": ["results/points/kernels/bench.json", *SETTINGS.kernels.records],
    "limits": ["results/points/limits/limits.json"],
    "decode": [
        f"results/points/decode/{point}.json" for point in ["models", "llama7b"][: 1 + bool(SETTINGS.decode.llama7b)]
    ],
}


rule bench:
    input:
        artifact=ARTIFACT.format(design=COMPRESSED[0]),
    output:
        kernels="results/points/kernels/bench.json",
        limits="results/points/limits/limits.json",
    log:
        "logs/bench.log",
    benchmark:
        "logs/benchmarks/bench.tsv"
    conda:
        "../../envs/kernels.yaml"
    threads: EVERY_CORE
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        kernels=section("kernels"),
        code=verb_hash("bench"),
    shell:
        "nmforge --config results/config.yaml bench --artifact {input.artifact} --out {output.kernels}"
        " --limits {output.limits} 2>&1 | tee {log}"


rule decode:
    input:
        lambda wildcards: DECODE_INPUTS[wildcards.point],
    output:
        "results/points/decode/{point}.json",
    log:
        "logs/decode/{point}.log",
    benchmark:
        "logs/benchmarks/decode/{point}.tsv"
    wildcard_constraints:
        point=one_of(DECODE_INPUTS),
    conda:
        "../../envs/kernels.yaml"
    threads: EVERY_CORE
    resources:
        mem_mb=lambda wildcards: {"models": 4000, "llama7b": 20000}[wildcards.point],
        disk_mb=lambda wildcards: {"models": 1000, "llama7b": 15000}[wildcards.point],
        runtime=60,
    params:
        decode=section("decode"),
        kernels=section("kernels"),
        what=lambda wildcards: {
            "models": f"{' '.join(DECODED)} --checkpoint {CHECKPOINT}",
            "llama7b": "--llama7b",
        }[wildcards.point],
        code=verb_hash("decode"),
    shell:
        "nmforge --config results/config.yaml decode {params.what} --out {output} 2>&1 | tee {log}"
