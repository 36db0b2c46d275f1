# The accelerator: cycles from simulation, resources from synthesis, clocks from place and route. `2:4` is spelled
# `2of4` in file names.

RANDOM_LAYERS = random_layers()
BUILDS = [f"{window}-int4" for window in SETTINGS.fpga.builds] + [
    f"1-int{bits}" for bits in SETTINGS.fpga.baseline_bits
]
PROOFS = {  # and the options that `nmforge fpga prove` takes for each
    f"{proof.engine}-{pattern.replace(':', 'of')}-{proof.window or 'own'}-int{proof.bits}x{proof.lanes}": (
        f"--engine {proof.engine} --pattern {pattern} --bits {proof.bits} --lanes {proof.lanes}"
        + (f" --window {proof.window}" if proof.window else "")
    )
    for proof in SETTINGS.fpga.proofs
    for pattern in proof.patterns
}
ENGINES = [pattern.replace(":", "of") for pattern in SETTINGS.fpga.patterns]
ROUTES = [
    f"{build}-int{route.bits}-{route.rows}x{route.cols}x{route.lanes}-seed{seed}"
    for route in SETTINGS.fpga.routes
    for build in route.builds
    for seed in range(1, route.seeds + 1)
]


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
        config=CONFIG,
    shell:
        "nmforge --config {params.config} fpga simulate {input.artifact} --layer {params.fpga[layer]}"
        " --build build/fpga --out {output} 2> >(tee {log} >&2)"


rule random_layer:
    input:
        sources("fpga"),
    output:
        "results/points/fpga/random-{layer}.json",
    log:
        "logs/fpga/random-{layer}.log",
    wildcard_constraints:
        layer="|".join(RANDOM_LAYERS) or "none",
    conda:
        "../../envs/fpga.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        options=lambda wildcards: RANDOM_LAYERS[wildcards.layer],
        config=CONFIG,
    shell:
        "nmforge --config {params.config} fpga random {params.options} --build build/fpga --out {output}"
        " 2> >(tee {log} >&2)"


rule synthesize:
    input:
        sources("fpga"),
    output:
        "results/points/fpga/synthesis-{kind}-{window}-int{bits}-{target}.json",
    log:
        "logs/fpga/synthesis-{kind}-{window}-int{bits}-{target}.log",
    wildcard_constraints:
        kind="gemm|gemv",
        window=r"\d+",
        bits=r"\d",
    conda:
        "../../envs/fpga.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        fpga=section("fpga"),
        config=CONFIG,
    shell:
        "nmforge --config {params.config} fpga synthesize --engine {wildcards.kind} --window {wildcards.window} --bits {wildcards.bits}"
        " --target {wildcards.target} --build build/fpga --out {output} 2> >(tee {log} >&2)"


rule place:
    input:
        sources("fpga"),
    output:
        "results/points/fpga/route-{window}-int{bits}-{rows}x{cols}x{lanes}-seed{seed}.json",
    log:
        "logs/fpga/route-{window}-int{bits}-{rows}x{cols}x{lanes}-seed{seed}.log",
    wildcard_constraints:
        window=r"\d+",
        bits=r"\d",
        rows=r"\d+",
        cols=r"\d+",
        lanes=r"\d+",
        seed=r"\d+",
    conda:
        "../../envs/fpga.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        config=CONFIG,
    shell:
        "nmforge --config {params.config} fpga place --window {wildcards.window} --bits {wildcards.bits}"
        " --rows {wildcards.rows} --cols {wildcards.cols} --lanes {wildcards.lanes} --seed {wildcards.seed} --build build/fpga --out {output} 2> >(tee {log} >&2)"


rule prove:
    input:
        sources("fpga"),
    output:
        "results/points/fpga/formal-{proof}.json",
    log:
        "logs/fpga/formal-{proof}.log",
    wildcard_constraints:
        proof="|".join(PROOFS) or "none",
    conda:
        "../../envs/fpga.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        options=lambda wildcards: PROOFS[wildcards.proof],
        config=CONFIG,
    shell:
        "nmforge --config {params.config} fpga prove {params.options}"
        " --out {output} 2> >(tee {log} >&2)"


rule netlist:
    input:
        sources("fpga"),
        artifact=ARTIFACT,
    output:
        "results/points/netlist/{design}.json",
    log:
        "logs/fpga/netlist-{design}.log",
    wildcard_constraints:
        design="|".join(COMPRESSED),
    conda:
        "../../envs/fpga.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        config=CONFIG,
    shell:
        "nmforge --config {params.config} fpga netlist {input.artifact} --layer model.layers.0.self_attn.q_proj"
        " --build build/fpga --out {output} 2> >(tee {log} >&2)"


rule fpga_table:
    input:
        expand("results/points/fpga/rtl-{engine}.json", engine=ENGINES),
        expand(
            "results/points/fpga/synthesis-{kind}-{build}-{target}.json",
            kind=["gemm", "gemv"],
            build=BUILDS,
            target=SETTINGS.fpga.targets,
        ),
        expand("results/points/fpga/route-{route}.json", route=ROUTES),
        expand("results/points/fpga/random-{layer}.json", layer=RANDOM_LAYERS),
        expand("results/points/fpga/formal-{proof}.json", proof=PROOFS),
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
