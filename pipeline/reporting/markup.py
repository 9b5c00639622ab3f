"""The template engine of pages that need nothing beside them, and pictures as addresses; imports no drawing library."""

import base64
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape
from PIL import Image

from pipeline.core import percents
from pipeline.core.shell import IN_SENTENCE
from pipeline.reporting.signs import NO_BREAK

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
THUMBNAIL = 160
_PERCENT = re.compile(r" (?<=\d )%")


def environment(*folders: Path) -> "Environment":
    r"""Return the template engine for a page that needs nothing beside it.

    >>> environment().from_string("{{ share | percent }}, {{ text }}").render(share=0.9, text="expect 5 %")
    '90.0\xa0%, expect 5\xa0%'

    Args:
        folders: where templates are looked for, in this order.
    """
    # Here, since most commands that import this make no page.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_unbroken,
    )
    made.filters |= {"svg": _svg, "png": _png, "jpeg": _jpeg, "thumbnail": _thumbnail, "verbatim": escape}
    made.filters |= {"percent": percents.percent, "commands": _commands}
    return made


def _unbroken(value: Any) -> Any:
    """Return text with each number on the line of its %; what is not plain text, or is escaped already, as it is.

    Commands and names of files, which a reader may copy, go through the filter `verbatim` before.
    """
    return _PERCENT.sub(f"{NO_BREAK}%", value) if type(value) is str else value


def _commands(sentence: str) -> Markup:
    """Return a sentence whose commands in backticks are set as code, and whose numbers are on the line of their %."""
    parts = enumerate(IN_SENTENCE.split(str(escape(sentence))))
    return Markup("".join(f"<code>{part}</code>" if place % 2 else _unbroken(part) for place, part in parts))


def _svg(content: bytes) -> str:
    return _address("svg+xml", content)


def _png(content: bytes) -> str:
    return _address("png", content)


def _jpeg(content: bytes) -> str:
    return _address("jpeg", content)


def _address(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _thumbnail(image: npt.NDArray[Any]) -> str:
    """Return an image, uint8 (3, S, S), as the address of a JPEG of at most 160 pixels a side."""
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90, subsampling=0)
    return _jpeg(out.getvalue())
