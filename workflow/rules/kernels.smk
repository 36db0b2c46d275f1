# Kernel times on this machine. The rule takes every core, so nothing else disturbs the clock.


rule bench:
    input:
        sources("kernels", "benchmarks"),
        artifact=ARTIFACT.format(design=COMPRESSED[0]),
    output:
        kernels="results/points/kernels/bench.json",
        limits="results/points/limits/limits.json",
    log:
        "logs/bench.log",
    conda:
        "../../envs/kernels.yaml"
    threads: 1000  # capped at --cores: nothing runs beside it
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        kernels=section("kernels"),
        config=CONFIG,
    shell:
        "nmforge --config {params.config} bench --artifact {input.artifact}"
        " --out {output.kernels} --limits {output.limits}"
        " 2> >(tee {log} >&2)"


rule kernels_table:
    input:
        rules.bench.output.kernels,
        SETTINGS.kernels.records,
    output:
        parquet="results/tables/kernels.parquet",
        csv="results/tables/kernels.csv",
    log:
        "logs/tables/kernels.log",
    group:
        "tables"
    conda:
        "../../envs/figures.yaml"
    shell:
        "nmforge table {input} --out {output.parquet} 2> >(tee {log} >&2)"


rule limits_table:
    input:
        rules.bench.output.limits,
    output:
        parquet="results/tables/limits.parquet",
        csv="results/tables/limits.csv",
    log:
        "logs/tables/limits.log",
    group:
        "tables"
    conda:
        "../../envs/figures.yaml"
    shell:
        "nmforge table {input} --out {output.parquet} 2> >(tee {log} >&2)"
