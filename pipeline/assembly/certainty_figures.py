"""Figures of a bundle's card: how sure its network is of its test images, on which nothing was fitted."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.bundles.card import Figure
from pipeline.bundles.certainty_text import asked_where
from pipeline.core.counting import counted
from pipeline.core.percents import percent
from pipeline.evaluation.predictions import Bin, reliability
from pipeline.evaluation.uncertainty import temperature
from pipeline.evaluation.uncertainty.abstention import RiskCoverage, risk_coverage
from pipeline.evaluation.uncertainty.arrays import FloatArray, IntArray
from pipeline.evaluation.uncertainty.assessment import Assessment
from pipeline.evaluation.uncertainty.judging import Calibration, Judgment
from pipeline.reporting import calibration, figures
from pipeline.reporting.figures import PNG

# Bitmaps, as not every page that shows cards takes SVG.
RELIABILITY, RISK = "reliability.png", "risk-coverage.png"
BEFORE, AFTER = "before", "after temperature scaling"
# Shares of images, the least sure, that the words name.
NAMED = (0.1, 0.2, 0.5)


def write(
    folder: Path,
    judgment: Judgment,
    logits: FloatArray,
    labels: IntArray,
    *,
    assessment: Assessment,
    fitted: Calibration | None,
) -> tuple[Figure, ...]:
    """Draw the figures of test images into a bundle's folder.

    Args:
        folder: of the bundle.
        judgment: of n >= 1 test images.
        logits: theirs (n, K).
        labels: their classes (n,).
        assessment: how well the judgment holds.
        fitted: what scales the probabilities; None where nothing does: then they are drawn as they are.
    """
    correct = logits.argmax(axis=1) == labels
    sure = judgment.probabilities.max(axis=1)
    panels = {BEFORE: reliability(temperature.probabilities(logits).max(axis=1), correct)}
    if fitted:
        panels[AFTER] = reliability(sure, correct)
    curve = risk_coverage(sure, correct)
    diagram = figures.reliability_diagrams(panels, PNG) if fitted else figures.reliability_diagram(panels[BEFORE], PNG)
    (folder / RELIABILITY).write_bytes(diagram)
    asked = (assessment.asked, assessment.error_of_others) if assessment.asked < 1 else None
    (folder / RISK).write_bytes(figures.risk_coverage(curve, asked, assessment.error, PNG))
    return (
        Figure(RELIABILITY, reliability_words(panels, assessment), reliability_caption(assessment, fitted)),
        Figure(RISK, risk_words(curve, assessment), risk_caption(assessment, fitted)),
    )


def reliability_words(panels: Mapping[str, Sequence[Bin]], assessment: Assessment) -> str:
    """Return the numbers of reliability diagrams: each one's calibration error, and its bin that counts most."""
    errors = {BEFORE: assessment.calibration_error, AFTER: assessment.calibration_error_after}
    told = []
    for title, bins in panels.items():
        when = f" {title}" if len(panels) > 1 else ""
        told.append(f"Calibration error{when}: {percent(errors[title])}; what counts most: {calibration.most(bins)}.")
    return f"Reliability diagram of the test images. {' '.join(told)}"


def reliability_caption(assessment: Assessment, fitted: Calibration | None) -> str:
    """Return of which images a reliability diagram is drawn."""
    drawn = (
        f"How often predictions of each confidence are right, of the {counted(assessment.images, 'test image')}, on "
        "which nothing was fitted"
    )
    points = "A point is at the mean confidence of its bin; a bin of few predictions is mostly chance."
    if fitted is None:
        return f"{drawn}. {points} These probabilities are not calibrated."
    return (
        f"{drawn}: before and after the scores are divided by the temperature, {fitted.temperature:.3g}, which was "
        f"fitted on the {counted(fitted.images, 'held-out image')}. {points}"
    )


def risk_words(curve: RiskCoverage, assessment: Assessment) -> str:
    """Return the numbers of a risk-coverage curve: the error that remains at some shares, and as the network asks."""
    left = {share: round((1 - share) * assessment.images) for share in NAMED}
    named = [f"{percent(curve.risk[count - 1])} at {100 * share:.0f} %" for share, count in left.items() if count]
    others = f"of the others {', '.join(named)} of images looked at, the least sure first; " if named else ""
    rule = (
        f"{percent(assessment.error_of_others)} at {percent(assessment.asked)}"
        if assessment.asked < 1
        else "none is left to it"
    )
    return (
        f"Risk-coverage curve of the test images. Wrong are {percent(assessment.error)} where a person looks at none; "
        f"{others}as this network asks, {rule}."
    )


def risk_caption(assessment: Assessment, fitted: Calibration | None) -> str:
    """Return of which images a risk-coverage curve is drawn, and what its point is."""
    why = asked_where(calibrated=fitted is not None)
    point = f"The point is the network's own rule: a person looks where {why}."
    if assessment.asked == 1:
        point = f"The network's own rule has no point, as it leaves none to the network: a person looks where {why}."
    return (
        "The errors among the images that are left to the network, where a person looks at those of which it is least "
        f"sure: of the {assessment.images:,} test images, on which nothing was fitted. {point}"
    )
