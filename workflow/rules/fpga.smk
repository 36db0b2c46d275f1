# The accelerator: cycles from simulation, resources from synthesis, clocks from place and route, proofs.

try:
    ENGINE_POINTS = planned_points(SETTINGS.fpga)
except NmforgeError as error:
    raise WorkflowError(str(error))
SIMULATED = simulated_points(SETTINGS.fpga)

POINTS["fpga"] = expand("results/points/fpga/{point}.json", point=[*SIMULATED, *ENGINE_POINTS])


rule simulate:
    input:
        artifact=lambda wildcards: ARTIFACT.format(design=simulated_design(SETTINGS, SIMULATED[wildcards.point])),
    output:
        "results/points/fpga/{point}.json",
    log:
        "logs/fpga/{point}.log",
    benchmark:
        "logs/benchmarks/fpga/{point}.tsv"
    wildcard_constraints:
        point=one_of(SIMULATED),
    conda:
        "../../envs/fpga.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        tile={name: section("fpga")[name] for name in ("rows", "cols", "layer", "tile_rows", "tokens")},
        code=verb_hash("fpga simulate", {"fpga_family": [], "board": []}),
    shell:
        "nmforge --config results/config.yaml fpga simulate {input.artifact} --layer {params.tile[layer]:q} --build build/fpga"
        " --out {output} 2>&1 | tee {log}"


rule engine:
    output:
        "results/points/fpga/{point}.json",
    log:
        "logs/fpga/{point}.log",
    benchmark:
        "logs/benchmarks/fpga/{point}.tsv"
    wildcard_constraints:
        point=one_of(ENGINE_POINTS),
    conda:
        "../../envs/fpga.yaml"
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        verb=lambda wildcards: ENGINE_POINTS[wildcards.point].verb,
        options=lambda wildcards: ENGINE_POINTS[wildcards.point].options,
        array=[SETTINGS.fpga.rows, SETTINGS.fpga.cols],  # of what is synthesized
        code=lambda wildcards: verb_hash(*ENGINE_POINTS[wildcards.point].code),
    shell:
        "nmforge --config results/config.yaml fpga {params.verb} {params.options} --out {output} 2>&1 | tee {log}"
