"""The verbs that make tables, figures, the ledger of claims and the report."""

from __future__ import annotations

import os
from pathlib import Path

from nmforge.cli.options import FIGURES, IN_TABLES, OUT, Arguments, Parser, Verb, add_paths
from nmforge.core.errors import NmforgeError
from nmforge.io import provenance


def table_options(parser: Parser) -> None:
    """The points, and the table they make."""
    parser.add_argument("points", type=Path, nargs="+", help="point files")
    add_paths(parser, **OUT)


def table(arguments: Arguments) -> None:
    """collect points into one Parquet and CSV table"""
    from nmforge.io.records import read_points, write_table

    write_table(read_points(arguments.points), arguments.out)


def scaling_options(parser: Parser) -> None:
    """Where the tables are."""
    add_paths(parser, **IN_TABLES)


def scaling(arguments: Arguments) -> None:
    """LLaMA-7B per token, from the kernel and accelerator tables"""
    from nmforge.io.records import read_table, write_table
    from nmforge.reporting.llama7b_scaling import llama_on_boards, scaling_table

    kernels, fpga, decoded = (
        read_table(arguments.tables / f"{name}.parquet") for name in ("kernels", "fpga", "decode")
    )
    write_table(scaling_table(kernels, fpga, decoded, here=provenance.cpu_name()), arguments.tables / "scaling.parquet")
    write_table(llama_on_boards(fpga), arguments.tables / "boards.parquet")


def figures_options(parser: Parser) -> None:
    """Which figures, from which tables, and where they go."""
    parser.add_argument("names", nargs="*", help="which figures; default: all")
    add_paths(parser, **IN_TABLES, out=(FIGURES, "folder to draw into"))


def figures(arguments: Arguments) -> None:
    """draw figures from the tables"""
    from nmforge.reporting.figures.registry import FIGURES as KNOWN
    from nmforge.reporting.figures.registry import draw

    for name in arguments.names or KNOWN:
        draw(name, arguments.tables, arguments.out)


def claims_options(parser: Parser) -> None:
    """What is done with the ledger."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--build", action="store_true", help="make the ledger from the tables first")
    either.add_argument("--into", type=Path, help="Markdown file: put the ledger between its ledger marks instead")
    add_paths(parser, **IN_TABLES)


def claims(arguments: Arguments) -> None:
    """print the ledger of claims; with --build make it from the tables first"""
    from nmforge.io.files import write_atomically
    from nmforge.io.records import read_table, write_table
    from nmforge.reporting.claims.ledger import format_ledger, insert, ledger, markdown

    path = arguments.tables / "claims.parquet"
    names = ("accuracy", "storage", "kernels", "decode", "fpga", "coherence", "scaling")
    files = {name: arguments.tables / f"{name}.parquet" for name in names}
    document: Path | None = arguments.into
    if document is None:
        if arguments.build:
            found = {name: read_table(file) for name, file in files.items() if file.exists()}
            write_table(ledger(found, here=provenance.cpu_name()), path)
        print(format_ledger(read_table(path)))
        return
    if not document.exists():
        raise NmforgeError(f"{document} is missing; name a Markdown file for --into")
    recorded = ledger({name: read_table(file) for name, file in files.items()})  # a reader is on another machine
    changed = insert(document.read_text(), markdown(recorded), str(document))
    write_atomically(document, lambda temporary: temporary.write_text(changed))


def report_options(parser: Parser) -> None:
    """Where tables and figures are, and where the page goes."""
    add_paths(parser, **IN_TABLES, figures=(FIGURES, "folder of the figures"), **OUT)


def report(arguments: Arguments) -> None:
    """the ledger, accuracy, samples and figures of a run as one page of Markdown"""
    from nmforge.io.files import write_atomically
    from nmforge.io.records import read_table
    from nmforge.reporting.figures.registry import FIGURES as KNOWN
    from nmforge.reporting.report import TABLES, report

    tables = {name: read_table(arguments.tables / f"{name}.parquet") for name in TABLES}
    pictures = [arguments.figures / f"{name}.png" for name in KNOWN]
    links = [Path(os.path.relpath(picture, arguments.out.parent)) for picture in pictures if picture.exists()]
    page = report(tables, links)
    write_atomically(arguments.out, lambda temporary: temporary.write_text(page))


VERBS = [
    Verb(table, table_options),
    Verb(scaling, scaling_options),
    Verb(figures, figures_options),
    Verb(claims, claims_options),
    Verb(report, report_options),
]
