# Names that every stage shares. The merged config is written once, as results/config.yaml: `--config` gives a
# verb run by hand the settings of the last run; rules name the part they depend on in `params`, so a change reruns that part alone.

MODEL = SETTINGS.model.name
DESIGNS = [design.id for design in SETTINGS.designs]
DENSE = next(design.id for design in SETTINGS.designs if design.bits == 16)
COMPRESSED = [design for design in DESIGNS if design != DENSE]
RECOVERED = {d.id: d.recovery for d in SETTINGS.designs if d.recovery}
DECODED = SETTINGS.decoded_designs()
TABLES = [
    "accuracy",
    "layers",
    "samples",
    "storage",
    "kernels",
    "limits",
    "decode",
    "fpga",
    "coherence",
    "scaling",
    "boards",
    "claims",
]
FIGURES = {  # and the tables each one reads
    "storage": "storage",
    "speedup": "kernels",
    "roofline": "kernels limits",
    "llama7b_scaling": "scaling",
    "accuracy_frontier": "accuracy",
    "error_by_layer": "layers",
    "fpga": "fpga",
    "bandwidth": "fpga",
    "boards": "boards",
}

CONFIG = Path("results/config.yaml")
CHECKPOINT, TOKENS, DENSE_HIDDEN = (
    INPUTS[name].format(model=MODEL)
    for name in ("checkpoint", "tokens", "dense_hidden")
)
ARTIFACT = f"results/artifacts/{MODEL}/{{design}}.nmf.safetensors"
SELF_GENERATED = f"results/tokens/{MODEL}-self-{{sequences}}x{{seqlen}}.safetensors"


onstart:
    merged = yaml.safe_dump(SETTINGS.model_dump(mode="json"), sort_keys=False)
    if not CONFIG.exists() or CONFIG.read_text() != merged:
        CONFIG.parent.mkdir(exist_ok=True)
        CONFIG.write_text(merged)


def sources(*names):
    """Source files a stage depends on: a file, or every source below a folder, of src/nmforge."""
    found = []
    for name in names:
        path = Path("src/nmforge") / name
        below = path.rglob("*") if path.is_dir() else [path]
        found += [
            str(file)
            for file in below
            if file.suffix in (".py", ".sv", ".v", ".cpp", ".hpp", ".h", ".yaml")
        ]
    return sorted(found)


def section(name):
    """One block of the config as plain data."""
    return SETTINGS.model_dump(mode="json")[name]


def engine_artifact(wildcards):
    """A design point with the pattern that is simulated. The engines drawn are INT4."""
    pattern = wildcards.engine.replace("of", ":")
    keep, of = pattern.split(":")
    wanted = "dense" if keep == of else pattern
    fitting = [
        d.id
        for d in SETTINGS.designs
        if d.pattern == wanted and d.bits == 4 and d.group_size
    ]
    if not fitting:
        raise WorkflowError(
            f"fpga.patterns has {pattern}, but no INT4 design point has that pattern; add one or remove it"
        )
    return ARTIFACT.format(design=fitting[-1])


def text_of(wildcards):
    """The text a number stands for, as plain data."""
    return section("coherence")["texts"][int(wildcards.number)]


def self_generated(wildcards):
    """The self-written sequences of a design point; none where it asks for none."""
    recovery = RECOVERED[wildcards.design]
    asked = {"sequences": recovery.self_generated, "seqlen": recovery.seqlen}
    return SELF_GENERATED.format(**asked) if recovery.self_generated else []


def random_options(layer, pattern):
    """The options that `nmforge fpga random` takes for a random layer."""
    values = {
        "engine": layer.engine,
        "pattern": pattern,
        **{
            name: getattr(layer, name)
            for name in ("bits", "m", "n", "k", "rows", "cols", "lanes")
        },
        "rates": " ".join(f"{rate:g}" for rate in layer.rates),
        "board": " ".join(layer.boards),
        "clock": f"{layer.clock_mhz:g}" if layer.clock_mhz else "",
    }
    switches = [name for name in ("activity", "peer") if getattr(layer, name)]
    named = [f"--{name} {value}" for name, value in values.items() if value]
    return " ".join([*named, *(f"--{name}" for name in switches)])


def random_layers():
    """The random layers by name, each with its options."""
    found = {}
    for layer in SETTINGS.fpga.random_layers:
        sizes = f"{layer.m}x{layer.n}x{layer.k}-{layer.rows}x{layer.cols}x{layer.lanes}"
        for pattern in layer.patterns:
            name = (
                f"{layer.engine}-{pattern.replace(':', 'of')}-int{layer.bits}-{sizes}"
            )
            if name in found:
                raise WorkflowError(
                    f"fpga.random_layers names {name} twice; put the memories of one layer into one entry"
                )
            found[name] = random_options(layer, pattern)
    return found
