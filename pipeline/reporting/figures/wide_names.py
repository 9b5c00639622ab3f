"""Names in scripts that matplotlib's own font has no letters for, which take the room of two letters each.

In an SVG the reader's fonts write them, so that their room is reserved without such a font; in a PNG one that is
installed does.
"""

from collections.abc import Iterator
from functools import cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from pipeline.core.text_width import columns

# A box stands for a letter without a glyph, 0.6 of the letter's width; this space, which no name holds, fills it up.
FILLER = "\N{THREE-PER-EM SPACE}"
FALLBACKS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Yu Gothic",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "Arial Unicode MS",
)


def spaced(text: str) -> str:
    """Return a text as long as it is wide: a filler behind each letter that takes two columns.

    >>> len(spaced("a蜘蛛")), unspaced(spaced("a蜘蛛"))
    (5, 'a蜘蛛')
    """
    return "".join(sign + FILLER * (columns(sign) - 1) for sign in text)


def unspaced(text: str) -> str:
    """Return a text without the fillers."""
    return text.replace(FILLER, "")


def prepare(figure: Figure, kind: str) -> None:
    """Reserve room in an SVG for wide letters; in a PNG, set them in a font that has them, if one is installed."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            names = [label.get_text() for label in axis.get_ticklabels()]
            if kind == "svg" and any(spaced(name) != name for name in names):
                axis.set_ticklabels([spaced(name) for name in names])
    for text in _wide_texts(figure):
        if kind == "svg":
            text.set_text(spaced(unspaced(text.get_text())))
        else:
            text.set_fontfamily([*text.get_fontfamily(), *_installed()])


def finish(content: bytes, kind: str) -> bytes:
    """Return a drawn figure without the fillers."""
    return content.replace(FILLER.encode(), b"") if kind == "svg" else content


def _wide_texts(figure: Figure) -> Iterator[Text]:
    # Other texts are drawn the same whatever fonts a machine has.
    for text in figure.findobj(Text):
        if isinstance(text, Text) and spaced(text.get_text()) != text.get_text():
            yield text


@cache
def _installed() -> list[str]:
    names = set(font_manager.get_font_names())
    return [name for name in FALLBACKS if name in names]
