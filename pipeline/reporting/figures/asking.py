"""The risk-coverage curve: the error that is left when a person checks the least confident images."""

from matplotlib.ticker import PercentFormatter

from pipeline.evaluation.uncertainty.abstention import RiskCoverage
from pipeline.reporting.figures.drawing import LIGHT, Theme, drawing, save


def risk_coverage(curve: RiskCoverage, asked: tuple[float, float] | None, error: float, theme: Theme = LIGHT) -> bytes:
    """Draw the error that remains against the share of images about which a person is asked, the least sure first.

    Args:
        curve: of n >= 1 images.
        asked: the share that a network itself asks about, and the error among the others; it is drawn as a point. None
            where it asks about all of them.
        error: the error among all images, which stays where images are drawn at random.
        theme: the colors.
    """
    with drawing(theme, 4.8, 3.1) as (figure, out):
        axes = figure.add_subplot()
        axes.plot(1 - curve.coverage, curve.risk, color=theme.first, label="the least sure")
        axes.axhline(error, linestyle=":", color=theme.ink, label="drawn at random")
        if asked:
            point = ([value] for value in asked)
            axes.plot(*point, "o", color=theme.second, label="as this network asks", clip_on=False)
        axes.set(xlabel="images that a person looks at (%)", ylabel="wrong among the others (%)", xlim=(0, 1))
        axes.set_ylim(bottom=0)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, symbol=None))
        axes.grid(axis="y")
        figure.legend(loc="outside upper center", ncols=3, frameon=False)
        save(figure, out, theme.form)
    return out.getvalue()
