# One arithmetic: reference, C++ and RTL compared with ==. A single mismatch fails the run.


rule coherence:
    input:
        sources("coherence.py", "reference.py", "kernels/cpu", "fpga"),
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


rule coherence_table:
    input:
        expand("results/points/coherence/{design}.json", design=COMPRESSED),
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
