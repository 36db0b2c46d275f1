"""A report as HTML that needs no other file and no network."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from nmforge.core.errors import NmforgeError

if TYPE_CHECKING:
    from nmforge.reporting.report import Page

TEMPLATE = Path(__file__).with_name("report.html.j2")
FOLDED = 40  # a longer sheet is closed until the reader opens it
PNG = b"\x89PNG\r\n\x1a\n"


def render(page: Page) -> str:
    """The page as HTML; every text of it is escaped, every figure lies in it. Errors: see `data_uri`."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["data_uri"] = data_uri
    template = environment.from_string(TEMPLATE.read_text())
    return template.render(page=page, folded=FOLDED) + "\n"


def data_uri(file: Path) -> Markup:
    """A PNG file as an address that holds all of its bytes; raises NmforgeError for a file that is no PNG."""
    content = file.read_bytes()
    if not content.startswith(PNG):
        raise NmforgeError(f"{file} is not a PNG picture; delete it and run nmforge figures")
    return Markup(f"data:image/png;base64,{base64.b64encode(content).decode()}")
