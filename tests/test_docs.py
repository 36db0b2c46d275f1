"""The Markdown pages of the repository: their links lead somewhere, their lines fit an editor."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
WIDTH = 120


def tracked_pages() -> list[str]:
    """Every Markdown file that git tracks, relative to the root."""
    command = ["git", "-C", str(ROOT), "ls-files", "*.md"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def prose(text: str) -> list[str]:
    """Lines outside code blocks."""
    lines, in_code = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            in_code = not in_code
        elif not in_code:
            lines.append(line)
    return lines


def anchors(text: str) -> set[str]:
    """What GitHub names the headings of a page: lower case, no punctuation, hyphens for spaces."""
    headings = [line.lstrip("#").strip() for line in prose(text) if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Relative links and images whose file or heading does not exist."""
    broken = []
    for target in LINK.findall("\n".join(prose(page.read_text()))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", tracked_pages())
def test_relative_links_of_every_page_resolve(page: str) -> None:
    assert broken_links(ROOT / page) == []


@pytest.mark.parametrize("page", tracked_pages())
def test_lines_of_every_page_fit_unless_they_are_table_rows(page: str) -> None:
    lines = (ROOT / page).read_text().splitlines()
    assert [line for line in lines if len(line) > WIDTH and not line.startswith("|")] == []


def test_a_missing_file_and_a_missing_heading_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One, two\n[a](#one-two) [b](#three) ![c](no.png) [d](page.md) [e](https://x.y)\n```\n[f](z)\n```\n"
    )
    assert broken_links(page) == ["#three", "no.png"]
