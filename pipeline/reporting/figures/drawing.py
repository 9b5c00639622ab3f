"""Colors, names on one line, figures with settings of their own, and bytes without a date, for all figures."""

import io
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from unicodedata import category

from matplotlib import style
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import ColorType

from pipeline.reporting.figures import wide_names

NOT_IN_XML = frozenset({"Cc", "Cs"})
# Of a wrapped name at most, and the inches that each takes.
LINES, LINE = 4, 0.15
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Theme(NamedTuple):
    """Colors of a figure, and what a chart is written as, `svg` or `png`.

    The two series are a blue and an orange, which the color-blind tell apart, and of so different a lightness that a
    print in gray tells them apart too: by WCAG's ratio 3 to 1 or more between each other and from the paper. `full` is
    the whole of what a shade is a part of, and far enough from the paper to carry text in its color; `muted` is of what
    stands behind, such as frozen layers, and 3 to 1 from the paper too.
    """

    paper: str
    ink: str
    faint: str
    first: str
    second: str
    full: str
    muted: str
    form: str = "svg"


LIGHT = Theme(
    paper="#ffffff", ink="#1c2128", faint="#d5dae1", first="#00446e", second="#da7600", full="#00446e", muted="#8b95a1"
)
DARK = Theme(
    paper="#171b21", ink="#e4e7eb", faint="#3b434e", first="#2f7fb0", second="#ffd27f", full="#9fd4f7", muted="#606b78"
)
# For programs that take no SVG.
PNG = LIGHT._replace(form="png")


def text_over(color: ColorType) -> str:
    """Return black or white, whichever stands out more from a color: by WCAG's ratio 4.5 to 1 or more from any.

    >>> text_over("#ffd27f"), text_over("#00446e")
    ('black', 'white')
    """
    parts = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color))
    luminance = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))
    # Where (1 + 0.05) / (L + 0.05) = (L + 0.05) / 0.05.
    return "black" if luminance > (1.05 * 0.05) ** 0.5 - 0.05 else "white"


def shortened(name: str, limit: int = 26) -> str:
    """Return a name on one line, without characters that XML cannot hold, and without its middle if it is too wide.

    >>> shortened("Trichonephila clavata (female)", 20)
    'Trichoneph… (female)'
    """
    line = "".join(REPLACEMENT if category(sign) in NOT_IN_XML else sign for sign in " ".join(name.split()))
    cells = wide_names.spaced(line)
    if len(cells) <= limit:
        return line
    return wide_names.unspaced(f"{cells[: limit // 2]}…{cells[-(limit // 2) + 1 :]}")


def wrapped(name: str, width: int = 26, lines: int = LINES) -> str:
    """Return a name whole, on as many lines as it takes; only one of more than `lines` lacks its middle.

    >>> print(wrapped("Trichonephila clavata (female)", 20))
    Trichonephila
    clavata (female)
    >>> print(wrapped("Trichonephila clavata (female)", 20, lines=1))
    Trichoneph… (female)
    """
    # Words rarely fill their lines, so that fewer letters may fit than the lines have.
    limits = range(lines * width, width - 1, -1)
    tried = (textwrap.wrap(wide_names.spaced(shortened(name, limit)), width) for limit in limits)
    return wide_names.unspaced("\n".join(next(parts for parts in tried if len(parts) <= lines)))


def counts_locator(most: int = 9) -> MaxNLocator:
    """Return what places the ticks of numbers of things: whole and round ones, at most so many and one more."""
    return MaxNLocator(most, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)


@contextmanager
def drawing(theme: Theme, width: float, height: float) -> Iterator[tuple[Figure, io.BytesIO]]:
    """Yield a figure of so many inches with matplotlib's own settings, not the user's, and literal names."""
    settings = {
        "svg.hashsalt": "orbweaver",
        "svg.fonttype": "none",
        "text.parse_math": False,
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": theme.faint,
        "grid.linewidth": 0.6,
        "axes.edgecolor": theme.ink,
        "lines.markersize": 4,
    }
    settings |= dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), theme.ink)
    settings |= dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), theme.paper)
    with style.context(["default", settings]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield Figure(figsize=(width, height), layout="constrained"), io.BytesIO()


def save(figure: Figure, out: io.BytesIO, kind: str) -> None:
    """Write a figure as `svg` or `png`, without date and program."""
    undated = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
    wide_names.prepare(figure, kind)
    drawn = io.BytesIO()
    figure.savefig(
        drawn, format=kind, metadata=undated[kind], bbox_inches="tight", dpi=150 if kind == "png" else "figure"
    )
    out.write(wide_names.finish(drawn.getvalue(), kind))
