"""A rule runs again when a file changes that its verb imports, and only then.

The hash that the rules hold must see a change of every file of a verb's closure, and of no other file. That the closure
holds what a verb really loads is tested on a finished run, in test_tiny.py.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from factories.registered import registered

from nmforge.cli import verb_sources
from nmforge.cli.fpga import FPGA_VERBS
from nmforge.cli.main import VERBS
from nmforge.cli.verb_sources import verb_files, verb_hash
from nmforge.core.registry import registry
from nmforge.io import import_closure
from nmforge.io.import_closure import PACKAGE

VERB_NAMES = [verb.name for verb in VERBS if verb.name != "fpga"] + [f"fpga {verb.name}" for verb in FPGA_VERBS]


def test_storage_depends_on_packing_and_not_on_pruning() -> None:
    names = {path.relative_to(PACKAGE.parent).as_posix() for path in verb_files("storage") if PACKAGE in path.parents}
    assert {"nmforge/artifact/storage.py", "nmforge/artifact/packing/offset.py"} <= names
    assert not [name for name in names if name.startswith(("nmforge/compression", "nmforge/fpga", "nmforge/reporting"))]


def test_rtl_and_cpp_are_in_the_closure_of_what_runs_them() -> None:
    simulated = {path.name for path in verb_files("fpga simulate")}
    assert {"nmforge_pe.sv", "nmforge_gemm.sv", "tb.cpp"} <= simulated
    timed = {path.name for path in verb_files("bench")}
    assert {"gemv.hpp", "pool.cpp", "isa_avx2.cpp", "CMakeLists.txt", "server.py"} <= timed
    compressed = {path.name for path in verb_files("compress")}
    assert "products.cpp" in compressed and "gemv.hpp" not in compressed and "nmforge_pe.sv" not in compressed


def test_a_registry_that_only_the_verb_itself_asks_is_in_its_closure() -> None:
    random = {path.name for path in verb_files("fpga random")}
    assert {"U280.yaml", "boards.py"} <= random
    one = {path.name for path in verb_files("fpga random", {"board": ["KV260"]})}
    assert "KV260.yaml" in one and "U280.yaml" not in one


def test_a_verb_does_not_depend_on_what_only_another_runs() -> None:
    assert not {path for path in verb_files("tokens") if path.match("models/sources/toy.py")}
    assert not {path for path in verb_files("figures") if path.name == "table_docs.py"}
    assert not {path for path in verb_files("fpga place") if path.match("fpga/sim/*")}
    assert not {path for path in verb_files("fpga simulate") if path.match("fpga/pnr/*")}
    assert not {path for path in verb_files("sample") if path.suffix == ".sv"}
    assert not {path for path in verb_files("compress") if path.name == "modelopt_masks.py"}
    for verb in ("layers", "self-generate", "storage"):
        assert not {path for path in verb_files(verb) if path.name == "wanda.py"}, verb


def test_defaults_of_options_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = verb_hash("fpga netlist")
    (netlist,) = (verb for verb in FPGA_VERBS if verb.name == "netlist")
    names = netlist.add_options.__globals__
    add_sizes = names["add_sizes"]
    monkeypatch.setitem(names, "add_sizes", lambda parser, **sizes: add_sizes(parser, **{**sizes, "tokens": 25}))
    verb_sources._verb_code.cache_clear()
    assert verb_hash("fpga netlist") != before
    monkeypatch.undo()
    verb_sources._verb_code.cache_clear()
    assert verb_hash("fpga netlist") == before


def test_an_entry_of_another_package_counts(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.py"
    theirs.write_text("")
    pruners = registry("pruner")
    with registered(pruners, replace(pruners.get("wanda"), name="theirs")):
        pruners._files["theirs"] = theirs
        first = verb_hash("compress", {"pruner": ["theirs"]})
        import_closure._digest.cache_clear()
        theirs.write_text("changed = True")
        assert verb_hash("compress", {"pruner": ["theirs"]}) != first


def test_only_the_named_entries_of_a_registry_take_part() -> None:
    one = {path.name for path in verb_files("compress", {"pruner": ["wanda"], "quantizer": ["rtn"]})}
    assert {"wanda.py", "rtn.py"} <= one and not {"alps.py", "ria.py", "gptq.py"} & one


@pytest.mark.parametrize("verb", VERB_NAMES)
def test_the_hash_of_a_verb_covers_its_whole_closure_and_no_other_file(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = {path for name in VERB_NAMES for path in verb_files(name)}
    before, own, digest = verb_hash(verb), set(verb_files(verb)), import_closure._digest
    for changed in sorted(everything):
        monkeypatch.setattr(
            import_closure, "_digest", lambda path, changed=changed: "changed" if path == changed else digest(path)
        )
        assert (verb_hash(verb) != before) == (changed in own), changed
