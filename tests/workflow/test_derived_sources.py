"""A rule runs again when a file changes that its verb imports, and only then.

The hash that the rules hold must see a change of every file of a verb's closure, and of no other file. That the closure
holds what a verb really loads is tested on a finished run, in test_tiny.py.
"""

from __future__ import annotations

import pytest

from nmforge.cli.fpga import FPGA_VERBS
from nmforge.cli.main import VERBS
from nmforge.cli.verb_sources import verb_files, verb_hash
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
