"""A report as HTML that needs no other file and no network."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from nmforge.core.errors import NmforgeError

if TYPE_CHECKING:
    from nmforge.reporting.report import Page

TEMPLATE = Path(__file__).with_name("report.html.j2")
FOLDED = 40  # a longer sheet is closed until the reader opens it
ONE_COLUMN = 1500  # pixels; a wider figure is one of both columns of a page and takes a row of its own
PNG = b"\x89PNG\r\n\x1a\n"


def render(page: Page) -> str:
    """The page as HTML; every text of it is escaped, every figure lies in it. Errors: see `png_size`."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"data_uri": data_uri, "png_size": png_size}
    template = environment.from_string(TEMPLATE.read_text())
    return template.render(page=page, folded=FOLDED, one_column=ONE_COLUMN) + "\n"


def data_uri(file: Path) -> Markup:
    """A PNG file as an address that holds all of its bytes; raises NmforgeError for a file that is no PNG."""
    return Markup(f"data:image/png;base64,{base64.b64encode(_png(file)).decode()}")


def png_size(file: Path) -> tuple[int, int]:
    """Width and height in pixels, which a PNG file names first; raises NmforgeError for a file that is no PNG."""
    width, height = struct.unpack(">II", _png(file)[16:24])
    return width, height


def _png(file: Path) -> bytes:
    content = file.read_bytes()
    if not content.startswith(PNG) or len(content) < 24:
        raise NmforgeError(f"{file} is not a PNG picture; delete it and run nmforge figures")
    return content
