# One arithmetic: reference, C++ kernels, RTL and the routed netlist compared with ==. A single mismatch fails the run.

TEXTS = section("coherence")["texts"]
POINTS["coherence"] = [
    *expand("results/points/coherence/{design}.json", design=COMPRESSED),
    *expand("results/points/rtl_text/{number}.json", number=range(len(TEXTS))),
    *expand("results/points/netlist/{design}.json", design=SETTINGS.fpga.netlists),
]


rule coherence:
    input:
        artifact=ARTIFACT,
    output:
        "results/points/coherence/{design}.json",
    log:
        "logs/coherence/{design}.log",
    benchmark:
        "logs/benchmarks/coherence/{design}.tsv"
    wildcard_constraints:
        design=one_of(COMPRESSED),
    conda:
        "../../envs/fpga.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        coherence=section("coherence"),
        array=[SETTINGS.fpga.rows, SETTINGS.fpga.cols],
        code=verb_hash("coherence"),
    shell:
        "nmforge --config results/config.yaml coherence {input.artifact} --build build/fpga --out {output} 2>&1 | tee {log}"


rule rtl_text:
    input:
        artifact=lambda wildcards: ARTIFACT.format(design=TEXTS[int(wildcards.number)]["design"] or COMPRESSED[-1]),
    output:
        "results/points/rtl_text/{number}.json",
    log:
        "logs/rtl_text/{number}.log",
    benchmark:
        "logs/benchmarks/rtl_text/{number}.tsv"
    conda:
        "../../envs/fpga.yaml"
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        text=lambda wildcards: TEXTS[int(wildcards.number)],
        code=verb_hash("rtl-text"),
    shell:
        "nmforge --config results/config.yaml rtl-text {input.artifact} --prompt {params.text[prompt]:q}"
        " --tokens {params.text[tokens]} --threads {threads} --build build/fpga --out {output} 2>&1 | tee {log}"


rule netlist:
    input:
        artifact=ARTIFACT,
    output:
        "results/points/netlist/{design}.json",
    log:
        "logs/netlist/{design}.log",
    benchmark:
        "logs/benchmarks/netlist/{design}.tsv"
    wildcard_constraints:
        design=one_of(COMPRESSED),
    conda:
        "../../envs/fpga.yaml"
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        code=verb_hash("fpga netlist"),
    shell:
        "nmforge --config results/config.yaml fpga netlist {input.artifact} --layer model.layers.0.self_attn.q_proj"
        " --build build/fpga --out {output} 2>&1 | tee {log}"
