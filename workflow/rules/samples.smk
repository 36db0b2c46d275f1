# What every design point writes behind the same prompt.


rule sample:
    input:
        sources("evaluation/samples.py", "runtime/generate.py", "runtime/native.py", "kernels/cpu"),
        artifact=ARTIFACT,
    output:
        "results/points/samples/{design}.json",
    log:
        "logs/samples/{design}.log",
    group:
        "points"
    conda:
        "../../envs/kernels.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        samples=section("samples"),
        config=CONFIG,
    shell:
        "nmforge --config {params.config} sample {input.artifact} --threads {threads} --out {output}"
        " 2> >(tee {log} >&2)"


rule samples_table:
    input:
        expand("results/points/samples/{design}.json", design=DESIGNS),
    output:
        parquet="results/tables/samples.parquet",
        csv="results/tables/samples.csv",
    log:
        "logs/tables/samples.log",
    group:
        "tables"
    conda:
        "../../envs/figures.yaml"
    shell:
        "nmforge table {input} --out {output.parquet} 2> >(tee {log} >&2)"
