"""Every rule keeps a log and a benchmark, runs a verb of the command line, and depends on the code of that verb."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from factories.checkout import ROOT, snakemake

from nmforge.cli.fpga import FPGA_VERBS
from nmforge.cli.main import VERBS

RULES = sorted((ROOT / "workflow/rules").glob("*.smk"))
VERB_NAMES = {verb.name for verb in VERBS} | {f"fpga {verb.name}" for verb in FPGA_VERBS}
VERB = re.compile(r"nmforge (?:--config \S+ )?(fpga )?([a-z][a-z0-9-]*|\{params\.verb\})")


def rules() -> dict[str, str]:
    """The text of every rule by name."""
    text = "\n".join(path.read_text() for path in RULES)
    parts = re.split(r"^rule (\w+):\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", sorted(rules()))
def test_a_rule_logs_times_and_names_its_code(name: str) -> None:
    text = rules()[name]
    for key in ("message:", "log:", "benchmark:", "shell:", "code="):
        assert key in text, f"rule {name} has no {key}"
    command = text.split("shell:\n")[1]
    assert "2>&1" in command and "{log}" in command


@pytest.mark.parametrize("name", sorted(rules()))
def test_a_rule_depends_on_the_verb_that_it_runs(name: str) -> None:
    text = rules()[name]
    found = VERB.search(text.split("shell:\n")[1])
    assert found, f"rule {name} runs no verb"
    verb = (found[1] or "") + found[2]
    if "{params.verb}" in verb:
        assert "ENGINE_POINTS[wildcards.point].code" in text
    else:
        assert f'verb_hash("{verb}"' in text
        assert verb in VERB_NAMES


def test_rules_stay_thin() -> None:
    assert sum(len(path.read_text().splitlines()) for path in RULES) <= 600
    assert not [path for path in RULES if re.search(r"^\s*run:", path.read_text(), re.MULTILINE)]


def test_every_rule_file_is_included() -> None:
    included = re.findall(r'include: "(rules/\w+\.smk)"', (ROOT / "workflow/Snakefile").read_text())
    assert sorted(included) == sorted(str(path.relative_to(ROOT / "workflow")) for path in RULES)
    assert 'include: "workflow/Snakefile"' in Path(ROOT / "Snakefile").read_text()


def test_snakemake_finds_no_fault_but_the_one_environment() -> None:
    """`make` installs one environment with nmforge in it, for every rule; no conda channel has nmforge."""
    found = snakemake(ROOT, "--lint").stderr
    assert "Lints for rule bench" in found
    titles = set(re.findall(r"^    \* (.*):$", found, re.MULTILINE))
    assert titles == {"Specify a conda environment or container for each rule."}
