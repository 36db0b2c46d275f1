# One arithmetic: reference, C++ and RTL compared with ==. A single mismatch fails the run.


rule coherence:
    input:
        sources("evaluation/coherence.py", "core/reference.py", "kernels/cpu", "kernels/gpu", "fpga"),
        artifact=ARTIFACT,
    output:
        "results/points/coherence/{design}.json",
    log:
        "logs/coherence/{design}.log",
    wildcard_constraints:
        design="|".join(COMPRESSED),
    conda:
        "../../envs/fpga.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        coherence=section("coherence"),
        fpga=section("fpga"),
        config=CONFIG,
    shell:
        "nmforge --config {params.config} coherence {input.artifact} --build build/fpga --out {output}"
        " 2> >(tee {log} >&2)"


rule rtl_text:
    input:
        sources(
            "evaluation/coherence.py", "runtime/generate.py", "runtime/rtl.py", "kernels/cpu", "fpga"
        ),
        artifact=lambda wildcards: ARTIFACT.format(
            design=text_of(wildcards)["design"] or COMPRESSED[-1]
        ),
    output:
        "results/points/rtl_text/{number}.json",
    log:
        "logs/rtl_text/{number}.log",
    wildcard_constraints:
        number=r"\d+",
    conda:
        "../../envs/fpga.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        text=text_of,
        config=CONFIG,
    shell:
        "nmforge --config {params.config} rtl-text {input.artifact} --prompt {params.text[prompt]:q}"
        " --tokens {params.text[tokens]} --threads {threads} --build build/fpga --out {output} 2> >(tee {log} >&2)"


rule coherence_table:
    input:
        expand("results/points/coherence/{design}.json", design=COMPRESSED),
        expand(
            "results/points/rtl_text/{number}.json",
            number=range(len(SETTINGS.coherence.texts)),
        ),
        expand("results/points/netlist/{design}.json", design=SETTINGS.fpga.netlists),
    output:
        parquet="results/tables/coherence.parquet",
        csv="results/tables/coherence.csv",
    log:
        "logs/tables/coherence.log",
    group:
        "tables"
    conda:
        "../../envs/figures.yaml"
    shell:
        "nmforge table {input} --out {output.parquet} 2> >(tee {log} >&2)"
