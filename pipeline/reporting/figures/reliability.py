"""Whether confidence can be believed."""

from collections.abc import Sequence

from matplotlib.ticker import PercentFormatter

from pipeline.reporting.calibration import Bin
from pipeline.reporting.figures.drawing import LIGHT, Theme, drawing, save


def reliability_diagram(bins: Sequence[Bin], theme: Theme = LIGHT) -> bytes:
    """Draw how often predictions of each confidence are right, with the line where both agree, and their numbers.

    Args:
        bins: as `calibration.bins` gives them; empty ones are left out above and have no bar below.
        theme: the colors.
    """
    some = [one for one in bins if one.predictions]
    with drawing(theme, 4.8, 4.2) as (figure, out):
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        width = bins[0].high - bins[0].low
        above.plot([0, 1], [0, 1], ":", color=theme.ink, label="as sure as right")
        middles = [(one.low + one.high) / 2 for one in some]
        above.bar(middles, [one.accuracy for one in some], width * 0.92, color=theme.first, alpha=0.5, label="right")
        above.plot(
            [one.confidence for one in some],
            [one.accuracy for one in some],
            "o",
            color=theme.second,
            label="mean confidence",
        )
        above.set(ylabel="right (%)", ylim=(0, 1.03), xlim=(0, 1))
        above.yaxis.set_major_formatter(PercentFormatter(1, symbol=None))
        figure.legend(loc="outside upper center", ncols=3, frameon=False)
        bars = below.bar(middles, [one.predictions for one in some], width * 0.92, color=theme.first)
        below.bar_label(bars, [f"{one.predictions:,}" for one in some], fontsize="x-small", padding=1)
        below.set(xlabel="confidence (%)", ylabel="predictions")
        below.margins(y=0.3)
        below.xaxis.set_major_formatter(PercentFormatter(1, symbol=None))
        save(figure, out, theme.form)
    return out.getvalue()
