"""Colors, names on one line, figures with settings of their own, and bytes without a date, for all figures."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from unicodedata import category

from matplotlib import style
from matplotlib.figure import Figure

NOT_IN_XML = frozenset({"Cc", "Cs"})
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Theme(NamedTuple):
    """Colors of a figure, and what a chart is written as, `svg` or `png`.

    The two series are Okabe and Ito's, which the color-blind tell apart.
    """

    paper: str
    ink: str
    faint: str
    first: str
    second: str
    form: str = "svg"


LIGHT = Theme(paper="#ffffff", ink="#1c2128", faint="#d5dae1", first="#0072b2", second="#d55e00")
DARK = Theme(paper="#171b21", ink="#e4e7eb", faint="#3b434e", first="#56b4e9", second="#e69f00")
# For programs that take no SVG.
PNG = LIGHT._replace(form="png")


def shortened(name: str, limit: int = 26) -> str:
    """Return a name on one line, without characters that XML cannot hold, and without its middle if it is too long.

    >>> shortened("Trichonephila clavata (female)", 20)
    'Trichoneph… (female)'
    """
    line = "".join(REPLACEMENT if category(sign) in NOT_IN_XML else sign for sign in " ".join(name.split()))
    if len(line) <= limit:
        return line
    return f"{line[: limit // 2]}…{line[-(limit // 2) + 1 :]}"


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
    figure.savefig(
        out, format=kind, metadata=undated[kind], bbox_inches="tight", dpi=150 if kind == "png" else "figure"
    )
