"""Sentences on the worth of more images."""

from pipeline.advice.answer import Answer, ends

NO_CURVE = (
    "There is no learning curve: the inner divisions have too few different training images of each class, so that "
    "their fractions are the same ones."
)


def sentence(answer: Answer) -> str:
    """Return what more images are worth, or why that is not known."""
    if answer.gain is None:
        return NO_CURVE
    gain = answer.gain
    if answer.points and all(one.accuracy == 1 for points in answer.points.values() for one in points):
        return "The networks of the learning curve made no error: what more images are worth cannot be seen in it."
    worth = f"{100 * gain.mean:+z.1f}"
    interval = f" ({ends(gain.interval)}, over {len(answer.points)} repeats)" if gain.interval else ""
    said = (
        f"{gain.images:,} more labeled images are worth about {worth} points{interval} to this network of "
        f"{gain.trained:,} training images"
    )
    if gain.mean <= 0:
        return f"{said}: in these repeats more images did not help."
    return (
        f"{said}, if the error goes on to fall as a power of their number. Such a curve has no floor, so that it "
        "promises too much far beyond what was measured."
    )
