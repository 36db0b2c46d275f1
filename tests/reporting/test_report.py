"""The report of a run: every number at its place with its source, text shown as it is, nothing outside the file."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from factories.reports import report_tables, write_report
from factories.rows import CPU

from nmforge.core.errors import NmforgeError
from nmforge.reporting.figures.registry import REGISTRY, Drawing
from nmforge.reporting.page.render import data_uri, render
from nmforge.reporting.report import REQUIRED, Run, Section, find_pictures, report
from nmforge.reporting.sheets import Origins, cell, sheet


class Reader(HTMLParser):
    """Rows of every table, as texts of cells, by the id of the section; and every address."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self._section, self._inside = "", False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"]] if given.get("id") else []
        self.addresses += [str(given[key]) for key in ("src", "href") if key in given]
        if tag == "section":
            self._section = str(given["id"])
        elif tag == "tr":
            self.rows.setdefault(self._section, []).append([])
        elif tag in ("td", "th"):
            self.rows[self._section][-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[self._section][-1][-1] += data


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(written: Path) -> Reader:
    return Reader(written.read_text())


def section(page_id: str, run: Run) -> Section | None:
    return next((one for one in report(run).sections if one.id == page_id), None)


def test_a_row_has_the_numbers_of_its_table_and_its_source(page: Reader) -> None:
    dense, sparse, _ = page.rows["accuracy"][1:]
    assert dense == ["dense-bf16", "bf16", "18.11", "1", "-", "-", "3.125", "1:1", "16", "run 1"]
    assert sparse[:6] == ["sparse", "w4a8", "2,796,000", "154,356", "0.7125", "60.5%"]
    assert page.rows["machine"][1] == ["run 1", CPU, "2026-01-02T03:04:05", "abc", "def", ""]


def test_every_link_leads_to_a_place_in_the_page_and_every_picture_lies_in_it(written: Path, page: Reader) -> None:
    assert {address for address in page.addresses if address.startswith("#")} <= {f"#{name}" for name in page.ids}
    pictures = [address for address in page.addresses if not address.startswith("#")]
    held = [base64.b64decode(picture.removeprefix("data:image/png;base64,")) for picture in pictures]
    assert held == [(written.parent / f"figures/{name}.png").read_bytes() for name in ("storage", "speedup")]
    wide, narrow = '<figure id="figure-speedup" class="wide">', '<figure id="figure-storage">'
    assert wide in written.read_text() and narrow in written.read_text()
    assert "http" not in re.sub("http-equiv", "", written.read_text())


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_report(tmp_path)
    size = path.stat().st_size / 1e6
    assert capsys.readouterr().out.splitlines()[-1] == f"wrote {path}, 6 tables, 2 figures, {size:.1f} MB"


def test_text_of_a_model_is_escaped(written: Path) -> None:
    text = written.read_text()
    assert "<dd> stand" not in text and "<b>there</b>" not in text
    assert "<dd>stand here &amp; &lt;b&gt;there&lt;/b&gt; \u2026</dd>" in text
    assert "<dd>fall.</dd>" in text


def test_times_are_summed_by_stage_and_the_report_is_not_among_them(page: Reader) -> None:
    heads, *stages = page.rows["times"][:3]
    assert heads[:4] == ["stage", "jobs", "seconds", "processor seconds"]
    assert stages == [["bench", "1", "240", "480", "50"], ["compress", "2", "90", "180", "900.5"]]
    assert ["compress", "b", "30", "60", "-"] in page.rows["times"]
    assert "report" not in {row[0] for row in page.rows["times"]}


def test_sections_of_tables_that_are_missing_are_left_out() -> None:
    tables = {name: table for name, table in report_tables().items() if name in REQUIRED}
    ids = [one.id for one in report(Run(tables)).sections]
    assert ids == ["answer", "ledger", "accuracy", "samples", "machine"]


@pytest.mark.parametrize("marks", ["no column", "no row", "a row that was not measured"])
def test_the_answer_is_the_whole_ledger_where_no_measured_row_is_marked(marks: str) -> None:
    claims = report_tables()["claims"]
    marked = claims.assign(headline=(claims["verdict"] == "not measurable here") & (marks != "no row"))
    run = Run(report_tables() | {"claims": claims.drop(columns="headline") if marks == "no column" else marked})
    answer = section("answer", run)
    assert answer and [row[0].text for row in answer.sheets[0].rows] == list(claims["claim"])
    assert section("ledger", run) is None


def test_the_answer_is_the_headline_rows_and_the_ledger_then_has_a_section() -> None:
    claims = report_tables()["claims"]
    chosen = claims.index[claims["verdict"] == "exceeded"][1]
    run = Run(report_tables() | {"claims": claims.assign(headline=claims.index == chosen)})
    short, ledger = section("answer", run), section("ledger", run)
    assert short and ledger and len(ledger.sheets[0].rows) == len(claims)
    (row,) = short.sheets[0].rows
    assert [row[0].text, row[2].text] == list(claims.loc[chosen, ["claim", "ours"]])
    assert short.note.endswith("Verdicts: 1 exceeded.")


def test_accelerator_rows_stand_by_kind_with_the_columns_that_they_fill(page: Reader) -> None:
    heads = [row for row in page.rows["fpga"] if row[0].startswith("engine")]
    assert len(heads) == 4  # rtl, synthesis, route, random
    simulated, synthesized = heads[0], heads[1]
    assert "cycles (cycles)" in simulated and "lut (LUTs)" not in simulated
    assert "lut (LUTs)" in synthesized and "cycles (cycles)" not in synthesized


def test_only_a_study_with_a_name_is_named() -> None:
    run = Run(report_tables(), study="quick", settings="study: quick\n")
    assert report(run).about.startswith("Study quick. Measured on ")
    assert report(replace(run, study="default")).about.startswith("Measured on ")
    assert "<code>study: quick\n</code>" in render(report(run))


def test_a_figure_has_its_caption_and_without_one_the_line_that_sums_it_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "storage.png").touch()
    (tmp_path / "fpga.png").touch()
    found = find_pictures(["storage", "speedup", "fpga"], tmp_path)
    assert [picture.name for picture in found] == ["storage", "fpga"]
    drawing = REGISTRY.get("storage")
    monkeypatch.setattr(Drawing, "caption", "what it says", raising=False)
    if "caption" not in Drawing.__dataclass_fields__:
        assert found[0].caption == f"{drawing.summary[0].upper()}{drawing.summary[1:]}."
        assert find_pictures(["storage"], tmp_path)[0].caption == "What it says."
    else:
        assert found[0].caption.startswith(drawing.caption)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(NmforgeError, match=r"a\.png is not a PNG picture; delete it and run nmforge figures"):
        data_uri(tmp_path / "a.png")


def test_rows_of_two_machines_have_two_sources() -> None:
    table = report_tables()["storage"]
    table.loc[1, "host"] = "another machine"
    table.loc[2] = table.loc[0]
    table.loc[2, "commit"] = None  # a row that does not say where it came from
    table["source"] = [None, None, "recorded elsewhere"]
    made = sheet("storage", table, ["design_id", "not a column"], Origins({"storage": table}))
    assert [[one.text for one in row] for row in made.rows] == [
        ["sparse", "run 1"], ["sparse", "run 2"], ["sparse", "recorded elsewhere"]
    ]  # fmt: skip
    assert [head.name for head in made.heads] == ["design id", "source"]


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        (1234567, "", "1,234,567"), (3.0, "", "3"), (0.00012345, "", "1.23e-04"), (12.3456, "", "12.35"),
        (98765.4, "", "98,765"), (0.6054, "top1_agreement", "60.5%"), (None, "", "-"), (pd.NA, "", "-"),
        (True, "", "True"), ("2:4", "", "2:4"), (-0.5, "", "-0.5"),
    ],
)  # fmt: skip
def test_a_value_is_written_for_readers_and_sorts_by_all_of_its_digits(value: object, column: str, text: str) -> None:
    made = cell(value, column)
    assert made.text == text
    if made.number:
        assert float(made.key) == value
