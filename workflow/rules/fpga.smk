# The accelerator: cycles from simulation, resources from synthesis, clocks from place and route, proofs.

try:
    ENGINE_POINTS = planned_points(SETTINGS.fpga)
except NmforgeError as error:
    raise WorkflowError(str(error))
SIMULATED = simulated_points(SETTINGS.fpga)

POINTS["fpga"] = expand("<results>/points/fpga/{point}.json", point=[*SIMULATED, *ENGINE_POINTS])


rule simulate:
    input:
        artifact=lambda wildcards: ARTIFACT.format(design=simulated_design(SETTINGS, SIMULATED[wildcards.point])),
    output:
        "<results>/points/fpga/{point}.json",
    log:
        "<logs>/fpga/{point}.log",
    benchmark:
        "<benchmarks>/fpga/{point}.tsv"
    wildcard_constraints:
        point=one_of(SIMULATED),
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        tile={name: section("fpga")[name] for name in ("rows", "cols", "layer", "tile_rows", "tokens")},
        code=verb_hash("fpga simulate", {"fpga_family": [], "board": []}),
    message:
        "Simulate tiles of a layer: {wildcards.point}"
    shell:
        "nmforge --config $NMFORGE_CONFIG fpga simulate {input.artifact} --layer {params.tile[layer]:q} --build build/fpga"
        " --out {output} 2>&1 >> {log} | tee -a {log}"


rule engine:
    output:
        "<results>/points/fpga/{point}.json",
    log:
        "<logs>/fpga/{point}.log",
    benchmark:
        "<benchmarks>/fpga/{point}.tsv"
    wildcard_constraints:
        point=one_of(ENGINE_POINTS),
    resources:
        mem_mb=growing(3000),
        runtime=60,
    params:
        verb=lambda wildcards: ENGINE_POINTS[wildcards.point].verb,
        options=lambda wildcards: ENGINE_POINTS[wildcards.point].options,
        array=[SETTINGS.fpga.rows, SETTINGS.fpga.cols],  # of what is synthesized
        code=lambda wildcards: verb_hash(*ENGINE_POINTS[wildcards.point].code),
    message:
        "Accelerator: {wildcards.point}"
    shell:
        "nmforge --config $NMFORGE_CONFIG fpga {params.verb} {params.options} --out {output} 2>&1 >> {log} | tee -a {log}"
