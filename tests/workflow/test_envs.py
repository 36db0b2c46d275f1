"""The pins of envs/: requirements.in is the source, and every other file must agree with it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
ENVS = ROOT / "envs"
LOCKS = [ENVS / "requirements.lock", ENVS / "requirements-cuda.lock"]
LIBRARIES = ENVS / "libraries.lock"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, BUILD_SYSTEM = PYPROJECT["project"], PYPROJECT["build-system"]["requires"]
CUDA_NAMES = re.compile(r"^(nvidia-|cuda-|triton$)")


def read_pins(lines: list[str]) -> dict[str, str]:
    """Name and version of `name==version` lines; anything else that is not a comment is an error."""
    pins = {}
    for line in lines:
        text = line.split("#")[0].strip()
        if text:
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)", text)
            assert match, f"not an exact pin: {line!r}"
            pins[canonicalize_name(match[1])] = match[2]
    return pins


def read_lock(path: Path) -> dict[str, tuple[str, list[str]]]:
    """Version and SHA-256 digests of every package of a lock file."""
    joined = path.read_text().replace("\\\n", " ")
    entries = {}
    for line in joined.splitlines():
        pin, *hashes = line.split()
        name, version = pin.split("==")
        assert all(part.startswith("--hash=sha256:") for part in hashes), line[:80]
        entries[canonicalize_name(name)] = (version, [part.removeprefix("--hash=sha256:") for part in hashes])
    return entries


def requirements(*lines: str) -> dict[str, SpecifierSet]:
    """Requirements by name, without those of the project on its own extras."""
    found = map(Requirement, lines)
    return {canonicalize_name(one.name): one.specifier for one in found if one.name != "nmforge"}


@pytest.fixture(scope="module")
def direct() -> dict[str, str]:
    return read_pins((ENVS / "requirements.in").read_text().splitlines())


def test_every_direct_requirement_is_locked_at_its_version(direct: dict[str, str]) -> None:
    locked = {name: version for name, (version, _) in read_lock(LOCKS[0]).items()}
    assert {name: locked.get(name) for name in direct if name != "torch"} == {
        name: version for name, version in direct.items() if name != "torch"
    }


def test_every_direct_library_is_locked_at_its_version(direct: dict[str, str]) -> None:
    libraries = read_pins((ENVS / "libraries.in").read_text().splitlines())
    locked = {name: version for name, (version, _) in read_lock(LIBRARIES).items()}
    assert {name: locked.get(name) for name in libraries} == libraries
    assert {name: version for name, version in libraries.items() if direct.get(name, version) != version} == {}


@pytest.mark.parametrize("path", [*LOCKS, LIBRARIES], ids=lambda path: path.name)
def test_every_locked_package_has_well_formed_hashes(path: Path) -> None:
    for name, (_, digests) in read_lock(path).items():
        assert digests, name
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in digests), name


@pytest.mark.parametrize("path", [*LOCKS, LIBRARIES], ids=lambda path: path.name)
def test_locks_name_no_index_and_no_machine(path: Path) -> None:
    assert not re.search(r"://|--(extra-)?index|--find-links|^/", path.read_text(), re.MULTILINE)


def test_cuda_packages_are_in_their_own_lock_and_torch_in_none() -> None:
    plain, cuda = (set(read_lock(path)) for path in LOCKS)
    assert {name for name in plain if CUDA_NAMES.match(name)} == set()
    assert {name for name in cuda if not CUDA_NAMES.match(name)} == set()
    assert "torch" not in plain | cuda


def test_torch_digests_name_each_build_once(direct: dict[str, str]) -> None:
    text = (ENVS / "torch.sha256").read_text()
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    assert sorted(build for _, build in rows) == ["cpu", "cuda"]
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest, _ in rows)
    assert f"torch {direct['torch']} " in text


def test_the_project_asks_only_for_pinned_packages(direct: dict[str, str]) -> None:
    extras = [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
    for name, specifier in requirements(*PROJECT["dependencies"], *BUILD_SYSTEM, *extras).items():
        assert name in direct, f"{name} is in pyproject.toml but not in envs/requirements.in"
        assert specifier.contains(direct[name]), f"{name}{specifier}"


def test_running_an_artifact_needs_three_packages() -> None:
    assert set(requirements(*PROJECT["dependencies"])) == {"numpy", "safetensors", "tokenizers"}


def test_all_roles_are_in_the_extra_all() -> None:
    (everything,) = map(Requirement, PROJECT["optional-dependencies"]["all"])
    assert everything.extras == set(PROJECT["optional-dependencies"]) - {"all", "dev", "slurm"}
