# The accelerator: cycles from simulation, resources from synthesis. `2:4` is spelled `2of4` in file names.

ENGINES = [pattern.replace(":", "of") for pattern in SETTINGS.fpga.patterns]


rule simulate:
    input:
        sources("fpga"),
        artifact=engine_artifact,
    output:
        "results/points/fpga/rtl-{engine}.json",
    log:
        "logs/fpga/rtl-{engine}.log",
    conda:
        "../../envs/fpga.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        fpga=section("fpga"),
        pattern=lambda wildcards: wildcards.engine.replace("of", ":"),
        config=CONFIG,
    shell:
        "nmforge --config {params.config} simulate {input.artifact} --pattern {params.pattern}"
        " --layer {params.fpga[layer]} --build build/fpga --out {output} 2> >(tee {log} >&2)"


rule synthesize:
    input:
        sources("fpga"),
    output:
        "results/points/fpga/synthesis-{engine}-{target}.json",
    log:
        "logs/fpga/synthesis-{engine}-{target}.log",
    conda:
        "../../envs/fpga.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        fpga=section("fpga"),
        pattern=lambda wildcards: wildcards.engine.replace("of", ":"),
        config=CONFIG,
    shell:
        "nmforge --config {params.config} synthesize --pattern {params.pattern}"
        " --target {wildcards.target} --build build/fpga --out {output} 2> >(tee {log} >&2)"


rule fpga_table:
    input:
        expand("results/points/fpga/rtl-{engine}.json", engine=ENGINES),
        expand(
            "results/points/fpga/synthesis-{engine}-{target}.json",
            engine=ENGINES,
            target=SETTINGS.fpga.targets,
        ),
    output:
        parquet="results/tables/fpga.parquet",
        csv="results/tables/fpga.csv",
    log:
        "logs/tables/fpga.log",
    group:
        "tables"
    conda:
        "../../envs/figures.yaml"
    shell:
        "nmforge table {input} --out {output.parquet} 2> >(tee {log} >&2)"
