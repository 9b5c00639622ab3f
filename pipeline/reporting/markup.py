"""The template engine of pages that need nothing beside them, and pictures as addresses; imports no drawing library."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

from pipeline.core import percents
from pipeline.core.shell import IN_SENTENCE
from pipeline.reporting.signs import NO_BREAK

TEMPLATES = Path(__file__).parent / "templates"
THUMBNAIL = 160


def environment(*folders: Path) -> Environment:
    r"""Return the template engine for a page that needs nothing beside it.

    >>> environment().from_string("{{ 0.9 | number }}, {{ 0.9 | percent }}").render()
    '90.0, 90.0\xa0%'

    Args:
        folders: where templates are looked for, in this order.
    """
    made = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"svg": _svg, "png": _png, "jpeg": _jpeg, "thumbnail": _thumbnail}
    made.filters |= {"number": percents.number, "percent": _percent, "commands": _commands}
    return made


def _commands(sentence: str) -> Markup:
    """Return a sentence whose commands in backticks are set as code."""
    return Markup(IN_SENTENCE.sub(r"<code>\1</code>", str(escape(sentence))))


def _percent(share: float) -> str:
    """Return a share in percent with its unit, on one line."""
    return f"{percents.number(share)}{NO_BREAK}%"


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
