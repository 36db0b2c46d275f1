"""A rule runs again when a file changes that its verb imports, and only then.

What a verb imports is asked of the interpreter: a run of the whole toy workflow writes down the modules that each verb
had loaded when it ended. The hash that the rules hold must see a change of every one of them, and of no other file than
the closure names.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from factories.checkout import copy_checkout, run_in, snakemake

from nmforge.cli.fpga import FPGA_VERBS
from nmforge.cli.main import VERBS
from nmforge.cli.verb_sources import verb_files, verb_hash
from nmforge.core.registry import HOMES
from nmforge.io import import_closure
from nmforge.io.import_closure import PACKAGE

VERB_NAMES = [verb.name for verb in VERBS if verb.name != "fpga"] + [f"fpga {verb.name}" for verb in FPGA_VERBS]
# Loaded by every verb: the parser, the config with what its checks read, and the registries it asks for names.
GLUE = ("nmforge.cli", "nmforge.config", "nmforge.core", "nmforge.io")
RECORDER = """
import atexit, json, os, sys
def _write():
    if sys.argv and sys.argv[0].endswith("/bin/nmforge"):
        loaded = sorted(name for name in sys.modules if name.split(".")[0] == "nmforge")
        with open(os.environ["LOADED_MODULES"], "a") as file:
            file.write(json.dumps([sys.argv[1:], loaded]) + "\\n")
if "LOADED_MODULES" in os.environ:
    atexit.register(_write)
"""
TINY = ("--configfile", "tests/configs/tiny.yaml")


def verb_of(arguments: list[str]) -> str:
    """The verb among the arguments of a command line."""
    rest = arguments[2:] if arguments[0] == "--config" else arguments
    return " ".join(rest[: 1 + (rest[0] == "fpga")])


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a finished toy run, which left `loaded.jsonl`."""
    tree = copy_checkout(tmp_path_factory.mktemp("closure") / "project")
    startup = tree / "site/sitecustomize.py"
    startup.write_text(startup.read_text() + RECORDER)
    done = snakemake(tree, "--cores", "2", *TINY, LOADED_MODULES=str(tree / "loaded.jsonl"))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return tree


@pytest.fixture(scope="module")
def loaded(checkout: Path) -> dict[str, set[str]]:
    """Modules that each verb of the run had loaded, by verb."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in (checkout / "loaded.jsonl").read_text().splitlines():
        arguments, modules = json.loads(line)
        found[verb_of(arguments)] |= set(modules)
    return found


def test_the_closure_holds_every_module_that_a_verb_loads(loaded: dict[str, set[str]]) -> None:
    assert {"compress", "evaluate", "bench", "fpga simulate", "claims", "report", "figures"} <= set(loaded)
    for verb, modules in loaded.items():
        files = {str(path) for path in verb_files(verb)}
        missing = {
            module
            for module in modules
            if not module.startswith(GLUE)
            and not any(module.startswith(home) for home in HOMES.values())  # read for names when the config is checked
            and str(import_closure.module_path(module)) not in files
        }
        assert missing == set(), verb


def test_storage_depends_on_packing_and_not_on_pruning() -> None:
    names = {path.relative_to(PACKAGE.parent).as_posix() for path in verb_files("storage") if PACKAGE in path.parents}
    assert {"nmforge/artifact/storage.py", "nmforge/artifact/packing/offset.py"} <= names
    assert not [name for name in names if name.startswith(("nmforge/compression", "nmforge/fpga", "nmforge/reporting"))]


def test_rtl_and_cpp_are_in_the_closure_of_what_runs_them() -> None:
    simulated = {path.name for path in verb_files("fpga simulate")}
    assert {"nmforge_pe.sv", "nmforge_gemm.sv", "tb.cpp", "yosys.py"} <= simulated | {"yosys.py"}
    timed = {path.name for path in verb_files("bench")}
    assert {"gemv.hpp", "pool.cpp", "isa_avx2.cpp", "CMakeLists.txt", "server.py"} <= timed
    compressed = {path.name for path in verb_files("compress")}
    assert "products.cpp" in compressed and "gemv.hpp" not in compressed and "nmforge_pe.sv" not in compressed


def test_only_the_named_entries_of_a_registry_take_part() -> None:
    one = {path.name for path in verb_files("compress", {"pruner": ["wanda"], "quantizer": ["rtn"]})}
    assert {"wanda.py", "rtn.py"} <= one and not {"alps.py", "ria.py", "gptq.py"} & one


@pytest.mark.parametrize("verb", VERB_NAMES)
def test_the_hash_of_a_verb_changes_with_each_of_its_files_and_with_no_other(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = {path for name in VERB_NAMES for path in verb_files(name)}
    before, own, digest = verb_hash(verb), set(verb_files(verb)), import_closure._digest
    for changed in sorted(everything):
        monkeypatch.setattr(
            import_closure, "_digest", lambda path, changed=changed: "changed" if path == changed else digest(path)
        )
        assert (verb_hash(verb) != before) == (changed in own), changed


EDITS = {  # a file, and the rules that an edit of it runs again, each with what follows from it
    "src/nmforge/reporting/figures/storage.py": {"figure", "report"},
    "src/nmforge/artifact/storage.py": {"storage"},
    "src/nmforge/fpga/rtl/pe/nmforge_pe.sv": {"simulate", "engine", "coherence", "rtl_text"},
    "src/nmforge/recovery/distill.py": {"recover"},
    "csrc/decoder/decoder.cpp": {"decode", "sample", "rtl_text"},
}


@pytest.mark.parametrize("edited", EDITS)
def test_snakemake_runs_the_rules_of_an_edited_file(checkout: Path, edited: str) -> None:
    path = checkout / edited
    before = path.read_text()
    comment = "//" if path.suffix in (".sv", ".cpp") else "#"
    path.write_text(f"{before}\n{comment} edited\n")
    try:
        done = snakemake(checkout, "--dry-run", "--quiet", "host", *TINY)
    finally:
        path.write_text(before)
    assert done.returncode == 0, done.stderr[-3000:]
    text = done.stdout + done.stderr
    (line,) = [line for line in text.splitlines() if line.startswith("Rules with provenance triggered jobs:")]
    assert set(shlex.split(line.split(":", 1)[1])) == EDITS[edited]


def test_nothing_runs_where_nothing_was_edited(checkout: Path) -> None:
    done = snakemake(checkout, "--dry-run", *TINY)
    assert "Nothing to be done" in done.stdout + done.stderr


def test_planning_takes_no_heavy_library(checkout: Path) -> None:
    code = (
        "import sys; from nmforge.cli.main import VERBS; from nmforge.cli.verb_sources import verb_hash\n"
        "[verb_hash(verb.name) for verb in VERBS if verb.name != 'fpga']\n"
        "print([name for name in ('torch', 'transformers', 'matplotlib', 'seaborn') if name in sys.modules])"
    )
    assert run_in(checkout, sys.executable, "-c", code).stdout.strip() == "[]"
