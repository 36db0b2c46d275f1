"""The report in a real browser that has no network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from factories.browser import CHROMIUM, Tab, browser
from factories.reports import write_report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium; install Debian's package chromium"),
]
COLUMN = """[...document.querySelectorAll('#accuracy tbody tr')].map(row => row.cells[{0}].textContent)"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(tmp_path_factory.mktemp("run"))


@pytest.fixture(params=[400, 1400])
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def tab(width: int, report: Path, tmp_path: Path) -> Iterator[Tab]:
    with browser(tmp_path) as opened:
        opened.call(
            "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0
        )
        opened.open(report.as_uri(), width)
        yield opened


def test_the_page_needs_nothing_else_fits_and_sorts(tab: Tab, report: Path, width: int) -> None:
    assert tab.requests() == [report.as_uri()]
    assert tab.value("document.images.length") == 2
    assert tab.value("[...document.images].every(picture => picture.complete && picture.naturalWidth > 100)")

    tab.value("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    assert tab.value("innerWidth") == width  # a page that is wider makes the window of a phone wider
    assert tab.value("document.documentElement.scrollWidth") <= width
    assert tab.value("Number.parseFloat(getComputedStyle(document.querySelector('td')).fontSize)") >= 13

    designs, kl = COLUMN.format(0), COLUMN.format(4)
    assert tab.value(kl) == ["-", "0.7125", "0.25"]
    click = "document.querySelectorAll('#accuracy th button')[{0}].click()"
    tab.value(click.format(4))
    assert tab.value(kl) == ["0.25", "0.7125", "-"]  # what was not measured stays last, in both directions
    assert tab.value(designs) == ["sparse-more", "sparse", "dense-bf16"]
    tab.value(click.format(4))
    assert tab.value(kl) == ["0.7125", "0.25", "-"]
    assert tab.value("document.querySelector('#accuracy [aria-sort]').getAttribute('aria-sort')") == "descending"
    tab.value(click.format(2))
    assert tab.value(COLUMN.format(2)) == ["18.11", "310.2", "2,796,000"]  # as numbers, not as text
    assert tab.value("document.querySelectorAll('#accuracy [aria-sort]').length") == 1

    assert tab.errors() == []
    assert tab.requests() == [report.as_uri()]
