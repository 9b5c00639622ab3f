"""Sentences on the worth of more images."""

from pipeline.advice import learning_curve
from pipeline.advice.answer import Answer, ends
from pipeline.advice.learning_curve import FRACTIONS

NO_CURVE = (
    "There is no learning curve: the inner divisions have too few different training images of each class, so that "
    "their fractions are the same ones."
)


def fractions(answer: Answer) -> str:
    """Return in a sentence why some fractions have no column of their own; "" where all have one."""
    there = {point.fraction for points in answer.points.values() for point in points}
    if not there or len(there) == len(FRACTIONS):
        return ""
    return "Fractions of the training images that came to the same images are there once."


def sentence(answer: Answer) -> str:
    """Return what more images are worth, or why that is not known."""
    if answer.points and learning_curve.is_perfect(answer.points):
        return "The networks of the learning curve made no error: what more images are worth cannot be seen in it."
    if answer.gain is None:
        return NO_CURVE
    gain = answer.gain
    worth = f"{100 * gain.mean:+z.1f}"
    interval = f" (95 % interval {ends(gain.interval)}, over {len(answer.points)} repeats)" if gain.interval else ""
    said = (
        f"{gain.images:,} more labeled images are worth about {worth} points{interval} to this network of "
        f"{gain.trained:,} training images"
    )
    largest = max((point.images for points in answer.points.values() for point in points), default=gain.trained)
    if largest < gain.trained:
        said += f" (the inner divisions, on which the curve was measured, train on {largest:,} at most)"
    if gain.mean <= 0:
        return f"{said}: in these repeats more images did not help."
    return (
        f"{said}, if the error goes on to fall as a power of their number. Such a curve has no floor, so that it "
        "promises too much far beyond what was measured."
    )
