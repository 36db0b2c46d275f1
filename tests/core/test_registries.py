"""Registries: what is found, in which order, and what a wrong name is told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from nmforge.core import registry as registries
from nmforge.core.errors import NmforgeError
from nmforge.core.registry import Registry

HOME = "shop_of_tests"
Write = Callable[..., None]


@dataclass(frozen=True)
class Entry:
    name: str
    summary: str = ""
    order: int = 0


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Registry[Entry], Write]]:
    """A registry whose home is a package on disk, and how a module gets into it."""
    (tmp_path / HOME).mkdir()
    (tmp_path / HOME / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(registries.HOMES, "some_kind", HOME)
    found: Registry[Entry] = Registry("some_kind")
    monkeypatch.setattr(registries, "test_registry", found, raising=False)

    def write(module: str, *entries: str) -> None:
        lines = [f"registry.test_registry.add(Entry({entry}))" for entry in entries]
        head = "from nmforge.core import registry\nfrom core.test_registries import Entry\n"
        (tmp_path / HOME / f"{module}.py").write_text(head + "\n".join(lines))

    yield found, write
    for name in [name for name in sys.modules if name.split(".")[0] == HOME]:
        del sys.modules[name]


def test_every_file_is_found_in_order(shop: tuple[Registry[Entry], Write]) -> None:
    found, write = shop
    write("b", "'late', order=2")
    write("a", "'second', order=1")
    write("c", "'first', order=1")
    write("_helper", "'hidden'")
    assert found.names() == ["first", "second", "late"]
    assert [entry.order for entry in found] == [1, 1, 2]
    assert "late" in found and "hidden" not in found


def test_a_wrong_name_is_told_the_right_ones(shop: tuple[Registry[Entry], Write]) -> None:
    found, write = shop
    write("a", "'one'")
    write("b", "'two'")
    with pytest.raises(NmforgeError, match=r"^some kind 'three' is unknown; use one of one, two$"):
        found.get("three")
    with pytest.raises(NmforgeError, match=r"^designs\.0: some kind 'three' is unknown; use one of one, two$"):
        found.get("three", "designs.0")


def test_a_name_is_given_once(shop: tuple[Registry[Entry], Write]) -> None:
    found, write = shop
    write("a", "'one', 'here'")
    write("b", "'one', 'there'")
    with pytest.raises(NmforgeError, match="two entries are called some_kind 'one'; rename one of them"):
        found.names()


def test_an_entry_point_that_cannot_be_loaded_names_its_package(
    shop: tuple[Registry[Entry], Write], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, write = shop
    write("a", "'one'")
    broken = EntryPoint("theirs", "no_such_module_of_theirs", "nmforge.some_kind")
    monkeypatch.setattr(registries, "entry_points", lambda group: [broken] if group == broken.group else [])
    for _ in range(2):  # a second question gets the same answer, not half of the entries
        with pytest.raises(NmforgeError, match=r"adds theirs through entry point nmforge\.some_kind, which cannot be"):
            found.names()
    monkeypatch.setattr(registries, "entry_points", lambda group: [])
    assert found.names() == ["one"]
