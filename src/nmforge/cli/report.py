"""The verbs that make tables, figures, the ledger of claims and the report."""

from __future__ import annotations

from pathlib import Path

from nmforge.cli.options import (
    OUT,
    Arguments,
    Parser,
    Verb,
    add_paths,
    add_places,
    read_config_if_any,
)
from nmforge.core.errors import NmforgeError
from nmforge.io import provenance
from nmforge.io.folders import DEFAULT_STUDY


def table_options(parser: Parser) -> None:
    """The points, and the table they make."""
    parser.add_argument("points", type=Path, nargs="+", help="point files")
    add_paths(parser, **OUT)


def table(arguments: Arguments) -> None:
    """collect points into one Parquet and CSV table"""
    from nmforge.io.records import read_points, write_table

    write_table(read_points(arguments.points), arguments.out)


def tables_options(parser: Parser) -> None:
    """Which tables."""
    parser.add_argument("names", nargs="*", help="which tables; default: all")


def tables(arguments: Arguments) -> None:
    """explain the tables and their columns, as Markdown"""
    from nmforge.reporting.table_docs import describe_tables

    print(describe_tables(arguments.names), end="")


def scaling_options(parser: Parser) -> None:
    """Where the tables are."""
    add_places(parser, "tables")


def scaling(arguments: Arguments) -> None:
    """LLaMA-7B per token, from the kernel and accelerator tables"""
    from nmforge.io.records import read_table, write_table
    from nmforge.reporting.llama7b_scaling import llama_on_boards, scaling_table

    read_config_if_any(arguments)
    kernels, fpga, decoded = (
        read_table(arguments.tables / f"{name}.parquet") for name in ("kernels", "fpga", "decode")
    )
    made = {
        "scaling": scaling_table(kernels, fpga, decoded, here=provenance.cpu_name()),
        "boards": llama_on_boards(fpga),
    }
    for name, frame in made.items():
        write_table(frame, arguments.tables / f"{name}.parquet")
        print(f"wrote {arguments.tables / name}.parquet, {len(frame)} rows")


def figures_options(parser: Parser) -> None:
    """Which figures, from which tables, and where they go."""
    parser.add_argument("names", nargs="*", help="which figures; default: report.figures of the config")
    add_places(parser, "tables")
    parser.add_argument("--out", dest="figures", type=Path, help="folder to draw into; default: that of the study")


def figures(arguments: Arguments) -> None:
    """draw figures from the tables"""
    from nmforge.reporting.draw import draw_figures

    configured = _configured(arguments, "figures")
    for file in draw_figures(arguments.names or configured, arguments.tables, arguments.figures):
        print(f"wrote {file}")


def _configured(arguments: Arguments, key: str) -> list[str]:
    """Names that block `report` of the config has; none, which means all, outside a project."""
    config = read_config_if_any(arguments)
    return list(getattr(config.report, key)) if config else []


def claims_options(parser: Parser) -> None:
    """Which claims, and what is done with the ledger."""
    parser.add_argument(
        "names", nargs="*", help="which claims, with --build or --into; default: report.claims of the config"
    )
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--build", action="store_true", help="make the ledger from the tables first")
    either.add_argument("--into", type=Path, help="Markdown file: put the ledger between its ledger marks instead")
    add_places(parser, "tables")


def claims(arguments: Arguments) -> None:
    """print the ledger of claims; with --build make it from the tables first"""
    from nmforge.io.records import read_table, write_table
    from nmforge.reporting.ledger import ledger, ledger_tables
    from nmforge.reporting.ledger_text import format_ledger

    configured = _configured(arguments, "claims")
    if arguments.into:
        _must_exist(arguments.into)
        _insert_ledger(arguments, arguments.names or configured)
        return
    path = arguments.tables / "claims.parquet"
    if arguments.build:
        names = arguments.names or configured
        files = {name: arguments.tables / f"{name}.parquet" for name in ledger_tables(names)}
        found = {name: read_table(file) for name, file in files.items() if file.exists()}
        write_table(ledger(found, here=provenance.cpu_name(), names=names), path)
    elif arguments.names:
        raise NmforgeError("names of claims are given without --build or --into; add one of them")
    print(format_ledger(read_table(path)))


def _insert_ledger(arguments: Arguments, names: list[str]) -> None:
    """Put the ledger of all tables between the marks of a document, for readers on other machines."""
    from nmforge.io.records import read_table
    from nmforge.reporting.ledger import ledger, ledger_tables
    from nmforge.reporting.ledger_text import END, START, markdown

    tables = {name: read_table(arguments.tables / f"{name}.parquet") for name in ledger_tables(names)}
    _insert(arguments.into, markdown(ledger(tables, names=names)), (START, END))


def answer_options(parser: Parser) -> None:
    """Where the ledger is, and what is done with the answer."""
    add_places(parser, "tables")
    parser.add_argument("--into", type=Path, help="Markdown file: put the answer between its answer marks instead")


def answer(arguments: Arguments) -> None:
    """print the answer of a run: a row for each claim of the paper, and where 2:4 pays"""
    from nmforge.io.records import read_table
    from nmforge.reporting.answer import END, START, answer_markdown, answer_text

    read_config_if_any(arguments)
    ledger = read_table(arguments.tables / "claims.parquet")
    if arguments.into is None:
        print(answer_text(ledger))
    else:
        _insert(arguments.into, answer_markdown(ledger), (START, END))


def compare_options(parser: Parser) -> None:
    """The tables of both sides."""
    add_places(parser, "tables")
    add_paths(parser, published=(Path("workflow/records/published"), "folder of CSV tables (default: %(default)s)"))


def compare(arguments: Arguments) -> None:
    """compare the tables of this run with the published ones; exit status 1 where a number differs"""
    from nmforge.reporting.compare import compare_tables, compare_text

    read_config_if_any(arguments)
    found = compare_tables(arguments.tables, arguments.published)
    print(compare_text(found))
    if any(one.differences for one in found):
        raise SystemExit(1)


def _must_exist(document: Path) -> None:
    if not document.exists():
        raise NmforgeError(f"{document} is missing; name a Markdown file for --into")


def _insert(document: Path, text: str, marks: tuple[str, str]) -> None:
    """Put a text between two marks of a document."""
    from nmforge.io.files import write_atomically
    from nmforge.reporting.markdown import insert

    _must_exist(document)
    changed = insert(document.read_text(), text, str(document), marks)
    write_atomically(document, lambda temporary: temporary.write_text(changed))


def report_options(parser: Parser) -> None:
    """Where tables, figures and benchmarks are, and where the page goes."""
    add_places(parser, "tables", "figures", "benchmarks")
    parser.add_argument("--out", dest="report", type=Path, help="HTML file to write; default: that of the study")


def report(arguments: Arguments) -> None:
    """write a run as one page of HTML: answer, figures, tables, settings, machine, times"""
    import yaml

    from nmforge.io.files import write_atomically
    from nmforge.io.records import read_table
    from nmforge.reporting.costs import read_costs
    from nmforge.reporting.figures.registry import REGISTRY
    from nmforge.reporting.page.render import render
    from nmforge.reporting.report import REQUIRED, TABLES, Run, find_pictures, report

    config = read_config_if_any(arguments)
    files = {name: arguments.tables / f"{name}.parquet" for name in TABLES}
    run = Run(
        {name: read_table(file) for name, file in files.items() if name in REQUIRED or file.exists()},
        find_pictures(_configured(arguments, "figures") or REGISTRY.names(), arguments.figures),
        read_costs(arguments.benchmarks, without=("report",)),
        yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False) if config else "",
        config.study if config else DEFAULT_STUDY,
    )
    page = render(report(run))
    write_atomically(arguments.report, lambda temporary: temporary.write_text(page))
    size = f"{len(run.tables)} tables, {len(run.pictures)} figures, {len(page) / 1e6:.1f} MB"
    print(f"wrote {arguments.report}, {size}")


VERBS = [
    Verb(table, table_options),
    Verb(tables, tables_options),
    Verb(scaling, scaling_options),
    Verb(figures, figures_options),
    Verb(claims, claims_options),
    Verb(answer, answer_options),
    Verb(compare, compare_options),
    Verb(report, report_options),
]
