# One arithmetic: reference, C++ kernels, RTL and the routed netlist compared with ==. A single mismatch fails the run.

TEXTS = section("coherence")["texts"]
POINTS["coherence"] = [
    *expand("<results>/points/coherence/{design}.json", design=COMPRESSED),
    *expand("<results>/points/rtl_text/{number}.json", number=range(len(TEXTS))),
    *expand("<results>/points/netlist/{design}.json", design=SETTINGS.fpga.netlists),
]


rule coherence:
    input:
        artifact=ARTIFACT,
    output:
        "<results>/points/coherence/{design}.json",
    log:
        "<logs>/coherence/{design}.log",
    benchmark:
        "<benchmarks>/coherence/{design}.tsv"
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        coherence=section("coherence"),
        array=[SETTINGS.fpga.rows, SETTINGS.fpga.cols],
        code=verb_hash("coherence"),
    message:
        "Compare every backend on {wildcards.design}"
    shell:
        "nmforge --config $NMFORGE_CONFIG coherence {input.artifact} --build build/fpga --out {output} 2>&1 >> {log} | tee -a {log}"


rule rtl_text:
    input:
        artifact=lambda wildcards: ARTIFACT.format(design=TEXTS[int(wildcards.number)]["design"] or COMPRESSED[-1]),
    output:
        "<results>/points/rtl_text/{number}.json",
    log:
        "<logs>/rtl_text/{number}.log",
    benchmark:
        "<benchmarks>/rtl_text/{number}.tsv"
    resources:
        mem_mb=growing(3000),
        runtime=60,
    params:
        text=lambda wildcards: TEXTS[int(wildcards.number)],
        code=verb_hash("rtl-text"),
    message:
        "Generate text {wildcards.number} in RTL simulation"
    shell:
        "nmforge --config $NMFORGE_CONFIG rtl-text {input.artifact} --prompt {params.text[prompt]:q}"
        " --tokens {params.text[tokens]} --threads {threads} --build build/fpga --out {output} 2>&1 >> {log} | tee -a {log}"


rule netlist:
    input:
        artifact=ARTIFACT,
    output:
        "<results>/points/netlist/{design}.json",
    log:
        "<logs>/netlist/{design}.log",
    benchmark:
        "<benchmarks>/netlist/{design}.tsv"
    resources:
        mem_mb=growing(3000),
        runtime=60,
    params:
        code=verb_hash("fpga netlist"),
    message:
        "Run {wildcards.design} through the routed netlist"
    shell:
        "nmforge --config $NMFORGE_CONFIG fpga netlist {input.artifact} --layer model.layers.0.self_attn.q_proj"
        " --build build/fpga --out {output} 2>&1 >> {log} | tee -a {log}"
