"""The shape of the source tree: what lies where, how long it is, and words that are gone."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from factories.checkout import ROOT

SRC, CSRC = ROOT / "src/nmforge", ROOT / "csrc"
PYTHON = sorted(SRC.rglob("*.py"))
TEXTS = (".py", ".pyi", ".cpp", ".hpp", ".md", ".smk", ".yaml", ".in", ".sh")
CPP = sorted([*CSRC.rglob("*.cpp"), *CSRC.rglob("*.hpp")])

# Words that meant something else to a reader of the field, and what replaced them (docs/glossary.md).
GONE = {
    "lacking": "residual_error",
    "SpilledWindows": "a cache of activations in files",
    "class Room": "ActivationStore",
    "Effort": "CompressionSummary",
    "Elsewhere": "ScopedAffinity",
    "kAhead": "kPrefetchBytes",
    "kLooks": "kSpinIterations",
    "kPatience": "kSpinTimeout",
    "walk_any": "gemv_generic",
    "walk_regular": "gemv_uniform_groups",
    "why_unsupported": "unsupported_reason",
    "write_peer_masks": "write_masks",
    "PEER_PRUNERS": "masks_from of a registry's entry",
    "rival_bits": "baseline_bits",
    "NOTHING = -100": "IGNORE_INDEX",
    "input_spans": "input_groups",
    "tensor_file": "safetensors_stream",
    "is no size": "must be an integer",
    "is no temperature": "must be >= 0",
    "so what is around them is not": "so the float code around them differs",
}


# The same for prose, tests, configs and scripts: words of which the field has a common one, and commands that are gone.
GONE_ANYWHERE = ("rivals?", "peers?", "beside", "nmforge hardware", "write-text", "--of")


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, methods too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_only_packages_and_two_files_lie_in_the_package() -> None:
    files = {path.name for path in SRC.iterdir() if path.is_file()}
    assert files == {"__init__.py", "py.typed"}
    for path in SRC.iterdir():
        if path.is_dir() and path.name != "__pycache__":
            assert (path / "__init__.py").exists(), path.name


def test_no_file_is_longer_than_350_lines() -> None:
    long = {str(path): len(path.read_text().splitlines()) for path in PYTHON + CPP}
    assert {path: lines for path, lines in long.items() if lines > 350} == {}


def test_no_function_is_longer_than_50_lines_or_takes_more_than_7_arguments() -> None:
    found = []
    for path in PYTHON:
        for node in functions(path):
            arguments = node.args
            own = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            count = len([argument for argument in own if argument.arg not in ("self", "cls")])
            # The arguments of a GPU kernel are its launch, no call in Python.
            kernel = any("triton.jit" in ast.unparse(decorator) for decorator in node.decorator_list)
            assert node.end_lineno is not None
            if node.end_lineno - node.lineno + 1 > 50 or (count > 7 and not kernel):
                found.append(f"{path.relative_to(SRC)}:{node.lineno} {node.name}")
    assert found == []


def test_the_import_contracts_have_at_most_14_lines() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [line for contract in contracts for line in contract.get("layers", [])]
    assert len(layers) <= 14
    assert all(contract["exhaustive"] for contract in contracts if contract["type"] == "layers")


def test_no_text_of_the_project_uses_a_word_that_is_gone() -> None:
    folders = [ROOT / name for name in ("src", "csrc", "docs", "tests", "workflow/rules", "workflow/studies", "envs")]
    texts = [
        path for folder in folders for path in folder.rglob("*") if path.suffix in TEXTS and path != Path(__file__)
    ]
    texts += [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "Makefile", "config.yaml", "pyproject.toml")]
    assert len(texts) > 500
    gone = re.compile(rf"(?<![\w-])({'|'.join(GONE_ANYWHERE)})(?![\w-])", re.IGNORECASE)
    found = {str(path.relative_to(ROOT)): gone.findall(path.read_text()) for path in texts}
    assert {name: words for name, words in found.items() if words} == {}


def test_words_that_are_gone_stay_gone() -> None:
    texts = {path: path.read_text() for path in PYTHON + CPP}
    found = [
        f"{path.relative_to(ROOT)}: {word} is now {better}"
        for path, text in texts.items()
        for word, better in GONE.items()
        if re.search(rf"\b{re.escape(word)}\b", text)
    ]
    assert found == []
