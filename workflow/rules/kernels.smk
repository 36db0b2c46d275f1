# Kernel times on this machine. The rule takes every core, so nothing else disturbs the clock.


rule bench:
    input:
        sources("kernels", "bench"),
        artifact=ARTIFACT.format(design=COMPRESSED[0]),
    output:
        "results/points/kernels/bench.json",
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
        "nmforge --config {params.config} bench --artifact {input.artifact} --out {output}"
        " 2> >(tee {log} >&2)"


rule kernels_table:
    input:
        rules.bench.output,
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
